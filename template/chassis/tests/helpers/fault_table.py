"""What can go wrong and what then happens: the service is tested against this table, the reference is made of it."""

from dataclasses import dataclass
from typing import Any

from faulty_vendor import (
    Behaviour,
    calling,
    completion,
    drip,
    hang,
    hang_up,
    once,
    raw,
    status,
    well,
)

NOTHING, USAGE, WORST = "nothing", "what it used", "the worst case"
"""What the first model is charged."""
DEADLINE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a caller and an operator see of one call.

    Args:
        status: The HTTP status.
        by: Who answered, `desk`, or the slug of the problem.
        fallback_reason: As the answer says it.
        charged: What the ledger has charged for the first model; all else must be what it used.
        logged: The lines before `call.finished`, each with its error or subject.
    """

    status: int = 200
    by: str = "second"
    fallback_reason: str | None = "models_failed"
    charged: str = NOTHING
    logged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table.

    Args:
        what: What goes wrong.
        ending: How the call ends.
        first: How the first model behaves, or its address where it has none.
        second: How the model behind it behaves.
        question: What is asked.
        store: What is done to the database meanwhile: `locked`, `slow`, `full` or `gone`.
        database_down: What `fallback.database_down` says.
    """

    what: str
    ending: Ending
    first: Behaviour | str = well
    second: Behaviour = well
    question: str = "2 + 2?"
    store: str | None = None
    database_down: str = "error"


def failed(error: str, *more: str, **changes: Any) -> Ending:
    """Return the usual ending: the first model's failure is logged, and the second answers."""
    return Ending(logged=(f"model.failed {error}", *more), **changes)


RESTS = "circuit_breaker.opened model:first"
LIMIT = {"code": "rate_limit_exceeded"}

OF_VENDORS = (
    Fault(
        "429, come back in 0.2 s",
        failed("ModelRateLimitError", by="first", charged=USAGE),
        once(status(429, LIMIT, Retry_After_Ms="200")),
    ),
    Fault("429, without saying for how long", failed("ModelRateLimitError"), status(429, LIMIT)),
    Fault("429, come back in a minute", failed("ModelRateLimitError", RESTS), status(429, LIMIT, Retry_After="60")),
    Fault(
        "429, the account's quota is used up",
        failed("ModelQuotaExceededError", RESTS),
        status(429, {"code": "insufficient_quota"}),
    ),
    Fault("500", failed("ModelServerError"), status(500)),
    Fault("502", failed("ModelServerError"), status(502)),
    Fault("503", failed("ModelUnavailableError"), status(503)),
    Fault("503, come back in a minute", failed("ModelUnavailableError", RESTS), status(503, Retry_After="60")),
    Fault("504: a gateway stopped waiting", failed("ModelServerError", charged=WORST), status(504)),
    Fault("529, overloaded", failed("ModelOverloadedError"), status(529)),
    Fault("408, once", failed("ModelHTTPError", by="first", charged=WORST), once(status(408))),
    Fault("409, once", failed("ModelHTTPError", by="first", charged=USAGE), once(status(409))),
    Fault("401, a wrong key", failed("ModelAuthenticationError"), status(401)),
    Fault("403, a key without rights", failed("ModelAuthenticationError"), status(403)),
    Fault("404, no such model", failed("ModelNotFoundError"), status(404, {"code": "model_not_found"})),
    Fault("400, a request it does not take", failed("ModelRequestRejectedError"), status(400)),
    Fault(
        "400, the context window is too small",
        failed("ModelContextWindowExceededError"),
        status(400, {"code": "context_length_exceeded"}),
    ),
    Fault("400, the input is filtered", failed("ModelRequestRejectedError"), status(400, {"code": "content_filter"})),
    Fault("no answer at all", failed("TimedOut", charged=WORST), hang),
    Fault("an answer of one byte every 0.1 s", failed("TimedOut", charged=WORST), drip),
    Fault("hangs up without an answer", failed("ModelConnectionError", charged=WORST), hang_up),
    Fault(
        "hangs up in the middle", failed("ModelConnectionError", charged=WORST), raw(completion(content="x"), cut=40)
    ),
    Fault(
        "connection refused",
        failed("ModelConnectionError", "model.failed ModelConnectionError"),
        "http://127.0.0.1:1/v1",
    ),
    Fault(
        "no such host", failed("ModelConnectionError", "model.failed ModelConnectionError"), "http://nowhere.invalid/v1"
    ),
    Fault(
        "no TLS where there should be",
        failed("ModelConnectionError", "model.failed ModelConnectionError"),
        "https://{plain}/v1",
    ),
    Fault("an empty body", failed("ModelAPIError", charged=WORST), raw(b"")),
    Fault("a body that is no JSON", failed("ModelAPIError", charged=WORST), raw(b'{"choices": [')),
    Fault("a web page", failed("UnexpectedModelBehavior", charged=WORST), raw(b"<html>Hello</html>", "text/html")),
    Fault("JSON of another kind", failed("UnexpectedModelBehavior", charged=WORST), raw(b'{"hello": 1}')),
    Fault("no text and no tool", failed("EmptyReply", charged=USAGE), raw(completion(content=""))),
    Fault(
        "cut off at the output cap", failed("TruncatedReply", charged=USAGE), raw(completion("length", content="Fo"))
    ),
    Fault(
        "stopped by the content filter",
        failed("RefusedReply", charged=USAGE),
        raw(completion("content_filter", content="")),
    ),
    Fault("a refusal", failed("RefusedReply", charged=USAGE), raw(completion(refusal="I will not."))),
    Fault("a reply of a megabyte", failed("OversizedReply", charged=USAGE), raw(completion(content="x" * 1_000_000))),
    Fault(
        "an answer that breaks the schema, twice",
        failed("UnexpectedModelBehavior", charged=USAGE),
        raw(calling("final_result", '{"words": 4}')),
    ),
    Fault(
        "an answer whose JSON is broken, twice",
        failed("UnexpectedModelBehavior", charged=USAGE),
        raw(calling("final_result", '{"text": "Fo')),
    ),
    Fault(
        "a tool that nobody offered, twice",
        failed("UnexpectedModelBehavior", charged=USAGE),
        raw(calling("delete_everything", "{}")),
    ),
    Fault(
        "the same tool again and again",
        failed("LoopingReply", charged=USAGE),
        raw(calling("look_up", '{"word": "four"}')),
    ),
)

OF_ALL_VENDORS = (
    Fault(
        "no model answers",
        failed("TimedOut", "model.failed TimedOut", by="baseline", charged=WORST),
        hang,
        hang,
    ),
    Fault(
        "no model has a right key, and the baseline is not sure",
        failed(
            "ModelAuthenticationError",
            "model.failed ModelAuthenticationError",
            "referral.opened",
            status=202,
            by="review",
        ),
        status(401),
        status(401),
        question="why?",
    ),
)

OF_CODE = (
    Fault(
        "a bug in the task",
        Ending(status=500, by="call-failed", fallback_reason=None, logged=("call.finished ZeroDivisionError",)),
        question="a bug in the task",
    ),
    Fault(
        "a bug in a tool of the task",
        Ending(
            status=500,
            by="call-failed",
            fallback_reason=None,
            charged=USAGE,
            logged=("call.finished ZeroDivisionError",),
        ),
        raw(calling("look_up", '{"word": "four"}')),
        question="a bug in a tool",
    ),
    Fault(
        "a bug in the baseline, when it is needed",
        failed(
            "ModelAuthenticationError",
            "model.failed ModelAuthenticationError",
            "call.finished ZeroDivisionError",
            status=500,
            by="call-failed",
            fallback_reason=None,
        ),
        status(401),
        status(401),
        question="a bug in the baseline",
    ),
)

UNAVAILABLE = Ending(
    status=503, by="database-unavailable", fallback_reason=None, logged=("call.finished database-unavailable",)
)
OF_STORES = (
    Fault("locked by another process for 0.5 s", Ending(by="first", fallback_reason=None, charged=USAGE), store="slow"),
    Fault("locked by another process", UNAVAILABLE, store="locked"),
    Fault(
        "locked by another process, where the rule is `baseline`",
        Ending(by="baseline", fallback_reason="database_down"),
        store="locked",
        database_down="baseline",
    ),
    Fault("no room left", UNAVAILABLE, store="full"),
    Fault(
        "its file is gone",
        Ending(
            status=503,
            by="database-unavailable",
            fallback_reason=None,
            logged=("database.unreachable gone", "request.refused"),
        ),
        store="gone",
    ),
)

TOLD_TO_GO = Fault(
    "SIGTERM while calls are under way and others wait",
    Ending(by="first", fallback_reason=None, charged=USAGE, logged=("service.draining", "service.stopped")),
)
KILLED = Fault(
    "killed (SIGKILL) while a model is asked",
    Ending(status=0, by="nobody", fallback_reason=None, charged=WORST, logged=()),
    hang,
)
OF_PROCESSES = (TOLD_TO_GO, KILLED)

FAULTS = {
    "One model fails": OF_VENDORS,
    "All models fail": OF_ALL_VENDORS,
    "Code fails": OF_CODE,
    "The database fails": OF_STORES,
    "The process ends": OF_PROCESSES,
}
