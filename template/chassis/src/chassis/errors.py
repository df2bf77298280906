"""Every way a call can stop, and the HTTP status its caller sees.

ChassisError
├── ConfigError                a file or a variable is wrong; the process does not start
└── CallError                  a caller sees these as problem+json
    ├── Unauthenticated        401  no key, or a key that nobody issued
    ├── NotFound               404  no such referral, or another caller's
    ├── TooLarge               413  the body is over `limits.max_body_bytes`
    ├── InputNotAllowed             422  the policy forbids to process this input
    ├── BudgetExhausted        429  no money left to ask a model
    ├── TooManyCalls           429  more calls in a minute than `limits.calls_per_minute`
    ├── Overloaded             503  more callers at once than `limits` has places for
    ├── DatabaseUnavailable       503  the database is locked, full, gone or too slow
    └── ModelsFailed           503  no model gave a usable reply
        ├── DeadlineExceeded   503  ... in the time there was
        ├── TooManyModelRequests  503  ... in `limits.model_requests_per_call` tries
        └── ModelsOff          503  ... because people have switched them off

What one model did wrong (`guard/failures.py`) is not here: it only makes the next model be asked.
"""

from typing import ClassVar


class ChassisError(Exception):
    """Everything that the chassis raises on purpose."""


class ConfigError(ChassisError):
    """A file or variable says something that cannot be meant.

    Args:
        where: File and key, such as `constraints.toml: cost.per_day_usd`.
        problem: What is wrong, with the value.
        remedy: What to write instead.
    """

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"{where}: {problem}. {remedy}")
        self.where, self.problem, self.remedy = where, problem, remedy


class CallError(ChassisError):
    """A call that ends without an outcome.

    Args:
        detail: One sentence for the caller; it never repeats their input.
        retry_after: Seconds after which trying again makes sense, if known.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "call-failed"
    title: ClassVar[str] = "The call failed"

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail, self.retry_after = detail, retry_after


class Unauthenticated(CallError):
    """No key, or a key that nobody issued."""

    status, slug, title = 401, "unauthenticated", "A valid API key is needed"


class NotFound(CallError):
    """No such thing, or it is another caller's."""

    status, slug, title = 404, "not-found", "There is nothing here"


class TooLarge(CallError):
    """The request body is over `limits.max_body_bytes`."""

    status, slug, title = 413, "too-large", "The request body is too large"


class InputNotAllowed(CallError):
    """The policy forbids to process this input."""

    status, slug, title = 422, "input-not-allowed", "This input may not be processed"


class BudgetExhausted(CallError):
    """No money is left to ask a model."""

    status, slug, title = 429, "budget-exhausted", "The budget is used up"


class TooManyCalls(CallError):
    """One caller's calls come faster than `limits.calls_per_minute`."""

    status, slug, title = 429, "too-many-calls", "Too many calls in a minute"


class Overloaded(CallError):
    """More callers at once than `limits.concurrent_calls` and `limits.queued_calls` have places for."""

    status, slug, title = 503, "overloaded", "Too many calls at once"


class DatabaseUnavailable(CallError):
    """The database cannot be used at present.

    Args:
        reason: How it is, such as `locked by another process`, `full`, `gone` or `too slow`.
    """

    status, slug, title = 503, "database-unavailable", "The database does not answer"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The database is {reason}", retry_after=1)
        self.reason = reason


class ModelsFailed(CallError):
    """No model gave a usable reply."""

    status, slug, title = 503, "models-failed", "No model gave a usable reply"


class DeadlineExceeded(ModelsFailed):
    """No model gave a usable reply before the deadline."""


class TooManyModelRequests(ModelsFailed):
    """The task asked models more often than `limits.model_requests_per_call`."""


class ModelsOff(ModelsFailed):
    """The models are switched off: `chassis models off`, or `MODELS_OFF` in the environment."""
