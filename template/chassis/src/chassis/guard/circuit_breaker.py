"""What keeps failing rests for a while, so that callers do not wait for it in vain."""

import time
from dataclasses import dataclass, field

import structlog
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelResponse

from chassis.guard.failures import CircuitOpen, UnusableReply
from chassis.guard.request import Request, Step
from chassis.telemetry import names
from chassis.telemetry.instruments import current

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 30.0

log = structlog.get_logger()


@dataclass(slots=True)
class CircuitBreaker:
    """Opens after a run of failures; after a rest it lets one request through to see.

    Args:
        subject: What rests, for logs and metrics: `model:gpt`, or `destination:openai` for all models there.
        failures: How many requests in a row have failed.
        rests_until: When it may be asked again, on the monotonic clock; None while the breaker is closed.
        probing: A request is under way to see whether it has recovered.
    """

    subject: str
    failures: int = field(default=0, init=False)
    open_until: float | None = field(default=None, init=False)
    probing: bool = field(default=False, init=False)

    def check(self) -> None:
        """Let a request pass.

        Raises:
            Resting: The subject is resting, or another request is already looking whether it has recovered.
        """
        if self.open_until is not None and (self.probing or time.monotonic() < self.open_until):
            raise CircuitOpen(self.subject, f"{self.subject} has failed {self.failures} times in a row and rests")

    def enter(self) -> None:
        """Note that a request that `check` let pass is on its way; while the breaker is open, it is the probe."""
        self.probing = self.open_until is not None

    def leave(self) -> None:
        """Note that a request ended without a verdict, so that another may be the probe."""
        self.probing = False

    def succeeded(self) -> None:
        """Note that the subject works."""
        if self.open_until is not None:
            log.info("circuit_breaker.closed", subject=self.subject)
            self._count(-1)
        self.failures, self.open_until, self.probing = 0, None, False

    def failed(self, rest_seconds: float | None = None) -> None:
        """Note that the subject does not work.

        Args:
            rest_seconds: How long it is known to stay so; it then rests at once.
        """
        self.failures, self.probing = self.failures + 1, False
        if rest_seconds is not None or self.failures >= FAILURES_TO_OPEN:
            self._open(rest_seconds or OPEN_SECONDS)

    def _open(self, rest_seconds: float) -> None:
        if self.open_until is None:
            log.warning(
                "circuit_breaker.opened", subject=self.subject, failures=self.failures, open_seconds=round(rest_seconds)
            )
            self._count(1)
        self.open_until = max(self.open_until or 0, time.monotonic() + rest_seconds)

    def _count(self, more: int) -> None:
        current().circuit_breakers_open.add(more, {names.SUBJECT: self.subject})


QUOTA_OPEN_SECONDS = 15 * 60.0
"""How long an account without quota rests; waiting does not fill it, but somebody may."""
MAX_OPEN_SECONDS = 60 * 60.0
"""What a vendor may ask for in `Retry-After`; more is taken for this."""


@dataclass(frozen=True, slots=True)
class CheckCircuitBreakers:
    """Asks a model only while its breaker and its destination's let it.

    Args:
        inner: The rest of the walk.
        model: The breaker of the model.
        destination: The breaker that all models of its destination share.
    """

    inner: Step
    model: CircuitBreaker
    destination: CircuitBreaker

    async def ask(self, request: Request) -> ModelResponse:
        """Ask, unless the model or its destination rests."""
        self.destination.check()
        self.model.check()
        self.destination.enter()
        self.model.enter()
        try:
            response = await self.inner.ask(request)
        except (ModelAuthenticationError, ModelNotFoundError) as error:
            self._blame(error)  # a wrong key or name turns down every request, not just this one
            raise
        except (ModelRequestRejectedError, UnusableReply):
            self._well()  # the vendor is well; it is this one request that it cannot serve
            raise
        except (ModelAPIError, UnexpectedModelBehavior) as error:
            self._blame(error)
            raise
        except BaseException:  # a caller who hung up says nothing about the model
            self.destination.leave()
            self.model.leave()
            raise
        self._well()
        return response

    def _well(self) -> None:
        self.destination.succeeded()
        self.model.succeeded()

    def _blame(self, error: ModelAPIError | UnexpectedModelBehavior) -> None:
        """Tell the breaker of whatever is not well: the whole destination, or this model of it."""
        match error:
            case ModelConnectionError(phase="pool" | "connect"):
                self.model.leave()
                self.destination.failed()
            case _:
                self.destination.leave()
                self.model.failed(_known_open_seconds(error))


def _known_open_seconds(error: ModelAPIError | UnexpectedModelBehavior) -> float | None:
    """Return how long the model is known to be of no use, or None if a single failure says nothing about the next."""
    asked_for = (error.retry_after or 0) if isinstance(error, ModelAPIError) else 0
    if isinstance(error, ModelQuotaExceededError):
        return min(asked_for or QUOTA_OPEN_SECONDS, MAX_OPEN_SECONDS)
    return min(asked_for, MAX_OPEN_SECONDS) if asked_for > OPEN_SECONDS else None
