"""Error responses as problem+json (RFC 9457). They never repeat what the caller sent, because proxies may log them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from chassis.errors import CallError, NotFound, Unauthenticated

MEDIA_TYPE = "application/problem+json"
INTERNAL_ERROR = "Internal error; the owners of the service can find it by the call_id"
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MAX_FIELD_PROBLEMS = 20
"""The maximum number of invalid fields in a response, because a body may have thousands of them."""
log = structlog.get_logger()


class MalformedBody(CallError):
    """The body is not JSON."""

    status, slug, title = 400, "malformed", "The body is not JSON"


class WrongMethod(CallError):
    """The path exists, but not for this method."""

    status, slug, title = 405, "wrong-method", "Method not allowed"


class BodyTooSlow(CallError):
    """The body did not arrive within the deadline of a call."""

    status, slug, title = 408, "too-slow", "The request body took too long"


class WrongMediaType(CallError):
    """The Content-Type is not JSON."""

    status, slug, title = 415, "wrong-media-type", "The Content-Type must be JSON"


class InvalidInput(CallError):
    """The body is JSON, but does not fit the task's input type."""

    status, slug, title = 422, "invalid-input", "The input is invalid"


class NotReady(CallError):
    """The service is shutting down, or its database is unavailable."""

    status, slug, title = 503, "not-ready", "The service is not ready"


class FieldProblem(BaseModel):
    """What is wrong with one field of the body."""

    field: str = Field(description="The path of the field, such as `body.question`.")
    message: str


class Problem(BaseModel):
    """The body of every error response."""

    type: str = Field(
        description="The kind of problem. It never changes for the same kind, so programs should decide by it."
    )
    title: str
    status: int
    detail: str
    call_id: str
    errors: Sequence[FieldProblem] | None = Field(None, description="Only with `invalid-input`: the invalid fields.")


FRAMEWORK_ERRORS: Mapping[int, tuple[type[CallError], str]] = {
    400: (MalformedBody, "The body is not valid JSON; send one JSON object in UTF-8"),
    404: (NotFound, "There is no such path; /docs lists them all"),
    405: (WrongMethod, "Use a method that the header Allow lists"),
}
"""The errors that FastAPI raises by itself, by status, and the detail that replaces its own."""


def add_problem_handlers(app: FastAPI) -> None:
    """Make the application answer every error with problem+json."""
    app.exception_handlers |= {
        CallError: _on_call_error,
        RequestValidationError: _on_invalid_input,
        HTTPException: _on_framework_error,
    }


def problem_response(
    error: CallError,
    call_id: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldProblem] | None = None,
) -> Response:
    """Return the response for an error."""
    body = Problem(
        type=f"/problems/{error.slug}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        call_id=call_id,
        errors=errors,
    )
    all_headers = dict(headers or {})
    if error.status == Unauthenticated.status:
        all_headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        all_headers["Retry-After"] = str(error.retry_after)
    return Response(body.model_dump_json(exclude_none=True), error.status, all_headers, MEDIA_TYPE)


def refusal_response(error: CallError, call_id: str, **details: Any) -> Response:
    """Return the response for a request that was refused before a call started, and log it.

    Without this line, the call id of the response could not be found in the log.
    """
    log.info("request.refused", call_id=call_id, status=error.status, problem=error.slug)
    return problem_response(error, call_id, **details)


async def _on_call_error(request: Request, error: CallError) -> Response:
    respond = problem_response if getattr(request.state, "in_call_log", False) else refusal_response
    return respond(error, request.state.call_id)


async def _on_framework_error(request: Request, error: HTTPException) -> Response:
    kind, detail = FRAMEWORK_ERRORS[error.status_code]
    if kind is MalformedBody:
        detail = unreadable_body(error.__cause__) or detail
    # The framework lists the methods in any order; sorted, the same error is always the same response.
    allowed = (error.headers or {}).get("Allow")
    headers = {"Allow": ", ".join(sorted(allowed.split(", ")))} if allowed else {}
    return refusal_response(kind(detail), request.state.call_id, headers=headers)


def unreadable_body(cause: BaseException | None) -> str | None:
    """Return what is wrong with a body that is JSON, but that Python does not read."""
    match cause:
        case RecursionError():
            return "The body is nested too deeply; send a flatter JSON object"
        case ValueError() if not isinstance(cause, UnicodeDecodeError):  # the only other one: sys.int_info
            return "A number in the body has too many digits; send a shorter one"
        case _:
            return None


async def _on_invalid_input(request: Request, error: RequestValidationError) -> Response:
    call_id: str = request.state.call_id
    details: Sequence[ErrorDetails] = error.errors()
    first = details[0]
    if first["type"] == "json_invalid":
        reason = str(first.get("ctx", {}).get("error")).removesuffix(" at")  # "Unterminated string starting at"
        detail = f"The body is not JSON: {reason} at character {first['loc'][-1]}"
        return refusal_response(MalformedBody(detail), call_id)
    fields = [FieldProblem(field=_path(item["loc"]), message=_message(item)) for item in details[:MAX_FIELD_PROBLEMS]]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return refusal_response(InvalidInput(f"{fields[0].field}: {fields[0].message}{more}"), call_id, errors=fields)


def _path(location: Sequence[int | str]) -> str:
    """Return `body.lines[0].text`. An unknown field's name comes from the caller: repeat it only if it is harmless."""
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{part if FIELD_NAME.fullmatch(part) else '?'}" for part in location
    )
    return "".join(parts).removeprefix(".")


def _message(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "union_tag_invalid":  # the only message of Pydantic that quotes the input
            return f"The tag must be one of {context.get('expected_tags')}"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "A JSON object is expected"
        case "string_pattern_mismatch" if context.get("pattern") == r"\S":
            return "The text must not be blank"
        case _:
            return detail["msg"].removeprefix("Value error, ")
