"""The table of faults and their expected results: it is tested, and a page of the reference is made from it."""

from fault import BREAKER_OPENED, USAGE, WORST, Fault, Result, failed
from faulty_vendor import calling, completion, drip, hang, hang_up, once, raw, status
from reply_faults import ENDS, STATUSES, UNREADABLE, USAGES

LIMIT = {"code": "rate_limit_exceeded"}

ONE_MODEL_FAILS = (
    Fault(
        "429, `Retry-After-Ms: 200`, once",
        failed("ModelRateLimitError", answered_by="first", charged=USAGE),
        once(status(429, LIMIT, Retry_After_Ms="200")),
    ),
    Fault("429 without `Retry-After`", failed("ModelRateLimitError"), status(429, LIMIT)),
    Fault(
        "429, `Retry-After: 60`", failed("ModelRateLimitError", BREAKER_OPENED), status(429, LIMIT, Retry_After="60")
    ),
    Fault(
        "429, the account's quota is used up",
        failed("ModelQuotaExceededError", BREAKER_OPENED),
        status(429, {"code": "insufficient_quota"}),
    ),
    Fault("500", failed("ModelServerError", charged=WORST), status(500)),
    Fault("502", failed("ModelServerError", charged=WORST), status(502)),
    Fault("503", failed("ModelUnavailableError", charged=WORST), status(503)),
    Fault(
        "503, `Retry-After: 60`",
        failed("ModelUnavailableError", BREAKER_OPENED, charged=WORST),
        status(503, Retry_After="60"),
    ),
    Fault("504, a gateway timed out", failed("ModelServerError", charged=WORST), status(504)),
    Fault("529, overloaded", failed("ModelOverloadedError", charged=WORST), status(529)),
    Fault("408, once", failed("ModelHTTPError", answered_by="first", charged=WORST), once(status(408))),
    Fault("409, once", failed("ModelHTTPError", answered_by="first", charged=WORST), once(status(409))),
    Fault("401, invalid API key", failed("ModelAuthenticationError"), status(401)),
    Fault("403, API key without permission", failed("ModelAuthenticationError"), status(403)),
    Fault("404, no such model", failed("ModelNotFoundError"), status(404, {"code": "model_not_found"})),
    Fault("400, invalid request", failed("ModelRequestRejectedError"), status(400)),
    Fault(
        "400, context window exceeded",
        failed("ModelContextWindowExceededError"),
        status(400, {"code": "context_length_exceeded"}),
    ),
    Fault(
        "400, input rejected by the content filter",
        failed("ModelRequestRejectedError"),
        status(400, {"code": "content_filter"}),
    ),
    Fault("no response", failed("TimedOut", charged=WORST), hang),
    Fault("a response of one byte every 0.1 s", failed("TimedOut", charged=WORST), drip),
    Fault("connection closed without a response", failed("ModelConnectionError", charged=WORST), hang_up),
    Fault(
        "connection closed in the middle of the response",
        failed("ModelConnectionError", charged=WORST),
        raw(completion(content="x"), cut=40),
    ),
    Fault(
        "connection refused",
        failed("ModelConnectionError", "model.failed ModelConnectionError"),
        "http://127.0.0.1:1/v1",
    ),
    Fault(
        "unknown host name",
        failed("ModelConnectionError", "model.failed ModelConnectionError"),
        "http://nowhere.invalid/v1",
    ),
    Fault(
        "no TLS at an `https` address",
        failed("ModelConnectionError", "model.failed ModelConnectionError"),
        "https://{plain}/v1",
    ),
    Fault("an empty body", failed("ModelAPIError", charged=WORST), raw(b"")),
    Fault("invalid JSON", failed("ModelAPIError", charged=WORST), raw(b'{"choices": [')),
    Fault("an HTML page", failed("UnexpectedModelBehavior", charged=WORST), raw(b"<html>Hello</html>", "text/html")),
    Fault("JSON with another schema", failed("UnexpectedModelBehavior", charged=WORST), raw(b'{"hello": 1}')),
    Fault("neither text nor a tool call", failed("EmptyReply", charged=USAGE), raw(completion(content=""))),
    Fault(
        "cut off at the output cap", failed("TruncatedReply", charged=USAGE), raw(completion("length", content="Fo"))
    ),
    Fault(
        "stopped by the content filter",
        failed("RefusedReply", charged=USAGE),
        raw(completion("content_filter", content="")),
    ),
    Fault("a refusal", failed("RefusedReply", charged=USAGE), raw(completion(refusal="I will not."))),
    Fault(
        "an answer that does not fit the schema, twice",
        failed("UnexpectedModelBehavior", charged=USAGE),
        raw(calling("final_result", '{"words": 4}')),
    ),
    Fault(
        "an answer with invalid JSON, twice",
        failed("UnexpectedModelBehavior", charged=USAGE),
        raw(calling("final_result", '{"text": "Fo')),
    ),
    Fault(
        "a call of a tool that was not offered, twice",
        failed("UnexpectedModelBehavior", charged=USAGE),
        raw(calling("delete_everything", "{}")),
    ),
    Fault(
        "the same tool call again and again",
        failed("LoopingReply", charged=USAGE),
        raw(calling("look_up", '{"word": "four"}')),
    ),
)

ALL_MODELS_FAIL = (
    Fault(
        "no model responds",
        failed("TimedOut", "model.failed TimedOut", answered_by="baseline", charged=WORST),
        hang,
        hang,
    ),
    Fault(
        "invalid API keys for all models, and an unsure baseline",
        failed(
            "ModelAuthenticationError",
            "model.failed ModelAuthenticationError",
            "referral.opened",
            status=202,
            answered_by="review",
        ),
        status(401),
        status(401),
        question="why?",
    ),
)

CODE_FAILS = (
    Fault(
        "an error in the task",
        Result(
            status=500, answered_by="call-failed", fallback_reason=None, logged=("call.finished ZeroDivisionError",)
        ),
        question="an error in the task",
    ),
    Fault(
        "an error in a tool of the task",
        Result(
            status=500,
            answered_by="call-failed",
            fallback_reason=None,
            charged=USAGE,
            logged=("call.finished ZeroDivisionError",),
        ),
        raw(calling("look_up", '{"word": "four"}')),
        question="an error in a tool",
    ),
    Fault(
        "an error in the baseline when it is needed",
        failed(
            "ModelAuthenticationError",
            "model.failed ModelAuthenticationError",
            "call.finished ZeroDivisionError",
            status=500,
            answered_by="call-failed",
            fallback_reason=None,
        ),
        status(401),
        status(401),
        question="an error in the baseline",
    ),
)

UNAVAILABLE = Result(
    status=503, answered_by="database-unavailable", fallback_reason=None, logged=("call.finished database-unavailable",)
)
DATABASE_FAILS = (
    Fault(
        "locked by another process for 0.5 s",
        Result(answered_by="first", fallback_reason=None, charged=USAGE),
        database="slow",
    ),
    Fault("locked by another process", UNAVAILABLE, database="locked"),
    Fault(
        'locked by another process, with `fallback.database_down = "baseline"`',
        Result(answered_by="baseline", fallback_reason="database_down"),
        database="locked",
        database_down="baseline",
    ),
    Fault("disk full", UNAVAILABLE, database="full"),
    Fault(
        "file deleted",
        Result(
            status=503,
            answered_by="database-unavailable",
            fallback_reason=None,
            logged=("database.unreachable gone", "request.refused"),
        ),
        database="gone",
    ),
)

TERMINATED = Fault(
    "SIGTERM while calls are running and waiting",
    Result(answered_by="first", fallback_reason=None, charged=USAGE, logged=("service.draining", "service.stopped")),
)
KILLED = Fault(
    "SIGKILL during a model request",
    Result(status=0, answered_by="none", fallback_reason=None, charged=WORST, logged=()),
    hang,
)
PROCESS_ENDS = (TERMINATED, KILLED)
"""The only faults that end the process, so they are not run like the others."""

FAULTS = {
    "One model fails": ONE_MODEL_FAILS,
    "A model answers with an unusual status": STATUSES,
    "A reply cannot be read": UNREADABLE,
    "A reply says nothing, or was cut off": ENDS,
    "A reply reports a usage that cannot be true": USAGES,
    "All models fail": ALL_MODELS_FAIL,
    "Code fails": CODE_FAILS,
    "The database fails": DATABASE_FAILS,
    "The process ends": PROCESS_ENDS,
}
