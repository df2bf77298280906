"""Every refusal as problem+json (RFC 9457): a stable type, one sentence, never what the caller sent."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from chassis.errors import CallError, NotFound, Unauthenticated

MEDIA_TYPE = "application/problem+json"
MISTAKE = "The service made a mistake; its owners find it by the call_id"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class MalformedBody(CallError):
    """The body is not JSON."""

    status, slug, title = 400, "malformed", "The body is not JSON"


class WrongMethod(CallError):
    """The address exists, but not for this method."""

    status, slug, title = 405, "wrong-method", "This address does not take that method"


class BodyTooSlow(CallError):
    """The body did not arrive in the time that a whole call may take."""

    status, slug, title = 408, "too-slow", "The request body came too slowly"


class WrongMediaType(CallError):
    """The body is labelled as something other than JSON."""

    status, slug, title = 415, "wrong-media-type", "The body must be JSON"


class InvalidInput(CallError):
    """The body is JSON, but not of the task's input type."""

    status, slug, title = 422, "invalid-input", "The input is not of the expected form"


class NotReady(CallError):
    """The service is about to end, or cut off from its database."""

    status, slug, title = 503, "not-ready", "The service takes no calls at present"


class FieldProblem(BaseModel):
    """What is wrong with one field of the body."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    field: str
    """Where it is, such as `body.question`."""
    message: str


class Problem(BaseModel):
    """The body of every response that is not a success."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """Never changes for the same kind of problem; branch on this."""
    title: str
    status: int
    detail: str
    call_id: str
    errors: Sequence[FieldProblem] | None = None
    """Only with `invalid-input`: what is wrong, field by field."""


log = structlog.get_logger()

FROM_FRAMEWORK: Mapping[int, tuple[type[CallError], str]] = {
    400: (MalformedBody, "The body cannot be read as JSON; send one JSON object in UTF-8"),
    404: (NotFound, "There is no such address; /docs lists those there are"),
    405: (WrongMethod, "Use a method that the header Allow names"),
}
"""What the web framework refuses on its own, by status."""

MOST_ERRORS = 20
"""A body with thousands of mistakes must not be answered with megabytes."""


def install(app: FastAPI) -> None:
    """Answer with problem+json whatever is refused on the way of a request."""
    app.exception_handlers |= {
        CallError: _on_call_error,
        RequestValidationError: _on_invalid_input,
        HTTPException: _on_framework_refusal,
    }


def problem(
    error: CallError,
    call_id: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldProblem] | None = None,
) -> Response:
    """Return the response that tells a caller about `error`."""
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


def refusal(error: CallError, call_id: str, **more: Any) -> Response:
    """Return the response to a request that never became a call, and leave a line for whoever looks its id up."""
    log.info("request.refused", call_id=call_id, status=error.status, problem=error.slug)
    return problem(error, call_id, **more)


async def _on_call_error(request: Request, error: CallError) -> Response:
    journaled = getattr(request.state, "journaled", False)
    return (problem if journaled else refusal)(error, request.state.call_id)


async def _on_framework_refusal(request: Request, refused: HTTPException) -> Response:
    kind, detail = FROM_FRAMEWORK[refused.status_code]
    allowed = (refused.headers or {}).get("Allow")
    headers = {"Allow": ", ".join(sorted(allowed.split(", ")))} if allowed else {}
    return refusal(kind(detail), request.state.call_id, headers=headers)


async def _on_invalid_input(request: Request, invalid: RequestValidationError) -> Response:
    details: Sequence[ErrorDetails] = invalid.errors()
    first = details[0]
    if first["type"] == "json_invalid":
        reason = str(first.get("ctx", {}).get("error")).removesuffix(" at")  # "Unterminated string starting at"
        error = MalformedBody(f"The body is not JSON: {reason} at character {first['loc'][-1]}")
        return refusal(error, request.state.call_id)
    errors = [FieldProblem(field=_field(detail["loc"]), message=_message(detail)) for detail in details[:MOST_ERRORS]]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    error = InvalidInput(f"{errors[0].field}: {errors[0].message}{more}")
    return refusal(error, request.state.call_id, errors=errors)


def _field(location: Sequence[int | str]) -> str:
    """Return `body.lines[0].text`; what a caller made up is only repeated if it looks like a name."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part if NAME.fullmatch(part) else '?'}" for part in location)
    return "".join(parts).removeprefix(".")


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "union_tag_invalid":  # the one message of Pydantic's that quotes the input
        return f"The tag must be one of {detail.get('ctx', {}).get('expected_tags')}"
    return detail["msg"].removeprefix("Value error, ")
