"""Says in a log line why a model failed: the vendor's error code, and the variable or key to check.

The vendor's own sentence may quote the request, so it is logged only where content may be kept: in development.
"""

import re
from collections.abc import Iterator
from typing import cast

from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError

from chassis.config.constraints import CONSTRAINTS_FILE, ModelConfig
from chassis.guard.failures import TimedOut, UnusableReply
from chassis.guard.vendors import REQUIRED_VARIABLES

CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,60}")
"""What a vendor may call an error; a longer text, or one with spaces, is a sentence."""
MAX_SENTENCE = 400
PAYMENT_REQUIRED = 402


def diagnose(error: BaseException, config: ModelConfig, *, with_content: bool) -> dict[str, str | int]:
    """Return further fields for the log line about a failure, those that are known.

    Args:
        error: The failure.
        config: The model that failed.
        with_content: Whether the log may contain what a vendor says.
    """
    fields: dict[str, str | int] = {}
    sentence = str(error) if isinstance(error, UnusableReply | TimedOut) else ""  # our own words
    if isinstance(error, ModelHTTPError):
        fields["status"] = error.status_code
        texts = dict(_error_fields(error.body))
        codes = (str(texts[key]) for key in ("code", "type", "status") if CODE.fullmatch(str(texts.get(key, ""))))
        if code := next(codes, None):
            fields["code"] = code
        sentence = str(texts.get("message") or error.body or "") if with_content else ""
    elif with_content and not sentence:
        sentence = str(error)
    if sentence:
        fields["reason"] = " ".join(sentence.split())[:MAX_SENTENCE]
    if check := _what_to_check(error, config, str(fields.get("code", ""))):
        fields["check"] = check
    return fields


def _what_to_check(error: BaseException, config: ModelConfig, code: str) -> str | None:
    """Return the variable or the key that most likely has to be corrected."""
    variable, model = REQUIRED_VARIABLES[config.provider], f"{CONSTRAINTS_FILE}: models.{config.name}"
    match error:
        case ModelHTTPError(status_code=404):
            check = f"{model}.model = {config.model!r}"
        case ModelHTTPError(status_code=401 | 403):
            check = variable
        case ModelHTTPError() if "quota" in code or error.status_code == PAYMENT_REQUIRED:
            check = f"the plan of the account that {variable} belongs to"
        case ModelHTTPError(status_code=429):
            check = f"the rate limit of the account that {variable} belongs to"
        case ModelConnectionError() if config.provider == "local":
            check = variable
        case ModelConnectionError() if config.provider == "openai-compatible":
            check = f"{model}.base_url"
        case ModelConnectionError():
            check = "the network, its proxy and its name server"
        case TimedOut():
            check = f"{CONSTRAINTS_FILE}: latency.deadline_seconds"
        case _:
            check = None
    return check


def _error_fields(body: object) -> Iterator[tuple[str, object]]:
    """Yield the keys of an error body; those within `error`, where most vendors put them, come last and win."""
    if isinstance(body, list) and body:  # as Google does
        yield from _error_fields(cast("list[object]", body)[0])
    elif isinstance(body, dict):
        fields = cast("dict[str, object]", body)
        yield from fields.items()
        yield from _error_fields(fields.get("error"))
    elif isinstance(body, str):
        yield "message", body
