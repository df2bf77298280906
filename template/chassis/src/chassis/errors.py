"""Every way in which a call can fail, with the HTTP status that the caller gets.

ChassisError
├── ConfigError                    a file, a variable or an argument is invalid
└── CallError                      a caller gets these as problem+json
    ├── Unauthenticated            401  the API key is missing or invalid
    ├── CallbackNotAllowed         403  `callbacks.origins` does not have the origin of this URL
    ├── NotFound                   404  there is no such referral or answer, or it is another caller's
    ├── ReviewConflict             409  a referral is answered already, or another reviewer has leased it
    ├── TooLarge                   413  the body is larger than `limits.max_body_bytes`
    ├── InputNotAllowed            422  the data policy forbids this input
    ├── BudgetExhausted            429  no budget is left to ask a model
    ├── TooManyCalls               429  the caller made more than `limits.calls_per_minute`
    ├── Overloaded                 503  `limits.concurrent_calls` are running and the queue is full
    ├── DatabaseUnavailable        503  the database is locked, full, damaged, gone or too slow
    └── ModelsFailed               503  no model gave a usable reply
        ├── DeadlineExceeded       503  ... before the deadline
        ├── TooManyModelRequests   503  ... within `limits.model_requests_per_call`
        └── ModelsOff              503  ... because the kill switch is on

A failure of a single model is none of these (see `guard/failures.py`): the next model is asked.
"""

from typing import ClassVar, Literal

type DatabaseProblem = Literal[
    "locked by another process", "full", "read-only", "damaged", "missing a table or a column", "gone", "too slow"
]
NEEDS_BACKUP: tuple[DatabaseProblem, ...] = ("damaged", "missing a table or a column")
"""The problems that remain until someone restores the database."""


class ChassisError(Exception):
    """The base class of all errors that the chassis raises."""


class ConfigError(ChassisError):
    """A file, a variable or an argument is invalid.

    Args:
        where: The file and key, such as `constraints.toml: cost.per_day_usd`.
        problem: The mistake, with the value.
        remedy: The action that corrects it.
    """

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"{where}: {problem}. {remedy}")
        self.where, self.problem, self.remedy = where, problem, remedy


class CallError(ChassisError):
    """A call that ends without an outcome.

    Args:
        detail: One sentence for the caller. It must not repeat their input.
        retry_after: The number of seconds after which the caller may try again, if known.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "call-failed"
    title: ClassVar[str] = "The call failed"

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail, self.retry_after = detail, retry_after


class Unauthenticated(CallError):
    """The API key is missing or invalid."""

    status, slug, title = 401, "unauthenticated", "A valid API key is required"


class NotFound(CallError):
    """There is no such referral or answer, or it belongs to another caller."""

    status, slug, title = 404, "not-found", "Not found"


class ReviewConflict(CallError):
    """A referral is answered already, or another reviewer has leased it."""

    status, slug, title = 409, "review-conflict", "This referral cannot be changed"


class TooLarge(CallError):
    """The request body is larger than `limits.max_body_bytes`."""

    status, slug, title = 413, "too-large", "The request body is too large"


class InputNotAllowed(CallError):
    """The data policy forbids this input."""

    status, slug, title = 422, "input-not-allowed", "This input is not allowed"


class CallbackNotAllowed(CallError):
    """A caller may not have answers sent to this URL."""

    status, slug, title = 403, "callback-not-allowed", "The callback is not allowed"


class BudgetExhausted(CallError):
    """No budget is left to ask a model."""

    status, slug, title = 429, "budget-exhausted", "The budget is exhausted"


class TooManyCalls(CallError):
    """The caller made more calls than `limits.calls_per_minute`."""

    status, slug, title = 429, "too-many-calls", "Too many calls per minute"


class Overloaded(CallError):
    """`limits.concurrent_calls` are running and `limits.queued_calls` are waiting, or the review queue is full."""

    status, slug, title = 503, "overloaded", "The service is overloaded"


class DatabaseUnavailable(CallError):
    """The database cannot be used at the moment.

    Args:
        reason: The problem.
    """

    status, slug, title = 503, "database-unavailable", "The database is unavailable"

    def __init__(self, reason: DatabaseProblem) -> None:
        super().__init__(f"The database is {reason}", retry_after=1)
        self.reason = reason


class ModelsFailed(CallError):
    """No model gave a usable reply."""

    status, slug, title = 503, "models-failed", "No model gave a usable reply"


class DeadlineExceeded(ModelsFailed):
    """No model gave a usable reply before the deadline."""


class TooManyModelRequests(ModelsFailed):
    """The task made more model requests than `limits.model_requests_per_call`."""


class ModelsOff(ModelsFailed):
    """The kill switch is on: by `chassis models off`, or by `CHASSIS_MODELS_OFF` in the environment."""
