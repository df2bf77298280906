"""Stops asking a model or a host that keeps failing, so that callers do not wait for it in vain.

See Michael Nygard, *Release It!*: a breaker opens after a number of failures in a row. When it has been open for a
while, a single request, the probe, finds out whether to close it again.

While all failures are those of one caller, they may be due to what that caller sends, and only that caller's requests
are stopped.
"""

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
from chassis.telemetry.instruments import Instruments

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 30.0
QUOTA_OPEN_SECONDS = 15 * 60.0
"""How long a breaker is open when the account's quota is used up and the vendor names no time."""
EVERYBODY = "*"
"""Stands for all callers. No caller has this name, because the name of an API key cannot contain it."""
MAX_OPEN_SECONDS = 60 * 60.0
"""The longest time that a vendor's `Retry-After` can keep a breaker open."""

log = structlog.get_logger()


@dataclass(slots=True)
class CircuitBreaker:
    """Counts failures in a row, and opens after too many.

    Args:
        subject: For logs and metrics: `model:gpt`, or `host:api.openai.com` for all models at that host.
        instruments: Record whether it is open.
        failures: How many requests in a row have failed.
        callers: Whose requests these were; `EVERYBODY` if they would have failed for any caller.
        open_until: When the next probe may be sent, on the monotonic clock; None while the breaker is closed.
        probing: Whether a probe is in progress.
    """

    subject: str
    instruments: Instruments
    failures: int = field(default=0, init=False)
    callers: set[str] = field(default_factory=set, init=False)
    open_until: float | None = field(default=None, init=False)
    probing: bool = field(default=False, init=False)

    def check(self, caller: str) -> None:
        """Check that a request of a caller may be sent.

        Raises:
            CircuitOpen: The breaker is open, and it is too early for a probe or one is in progress.
        """
        # One caller who sends what a vendor cannot digest must not take the model away from all others.
        if self.open_until is None or self.callers.isdisjoint({caller, EVERYBODY}):
            return
        if self.probing or time.monotonic() < self.open_until:
            raise CircuitOpen(self.subject, f"The circuit breaker of {self.subject} is open: {self.failures} failures")

    def enter(self) -> None:
        """Note that a request is sent; while the breaker is open it is the probe."""
        self.probing = self.open_until is not None

    def leave(self) -> None:
        """Note that a request ended without showing whether the subject works, so that another may be the probe."""
        self.probing = False

    def record_success(self) -> None:
        """Note that the subject works."""
        if self.open_until is not None:
            log.info("circuit_breaker.closed", subject=self.subject)
            self._add_to_gauge(-1)
        # One success suffices, also of a request that was sent before the breaker opened: the subject works.
        self.failures, self.open_until, self.probing = 0, None, False
        self.callers.clear()

    def record_failure(self, caller: str, open_seconds: float | None = None) -> None:
        """Note that the subject failed.

        Args:
            caller: Whose request failed, or `EVERYBODY` if any request would have.
            open_seconds: How long it is known to fail; the breaker then opens at once, for that long.
        """
        self.failures, self.probing = self.failures + 1, False
        # Two callers are no coincidence, and more need not be remembered.
        self.callers.add(EVERYBODY if self.callers - {caller} else caller)
        if open_seconds is not None or self.failures >= FAILURES_TO_OPEN:
            self._open(open_seconds or OPEN_SECONDS)

    def _open(self, seconds: float) -> None:
        if self.open_until is None:
            log.warning(
                "circuit_breaker.opened", subject=self.subject, failures=self.failures, open_seconds=round(seconds)
            )
            self._add_to_gauge(1)
        # Requests that were in progress when it opened may fail later, and must not shorten a longer time.
        self.open_until = max(self.open_until or 0, time.monotonic() + seconds)

    def _add_to_gauge(self, amount: int) -> None:
        self.instruments.circuit_breakers_open.add(amount, {names.SUBJECT: self.subject})


@dataclass(slots=True)
class CheckCircuitBreakers:
    """Asks a model only if its breaker and its host's allow it, and tells them how the request ended.

    Args:
        inner: The next step.
        model: The breaker of the model.
        host: The breaker of all models at the same host.
        caller: Whose request it is.
    """

    inner: Step
    model: CircuitBreaker
    host: CircuitBreaker
    caller: str

    async def ask(self, request: Request) -> ModelResponse:
        """Ask.

        Raises:
            CircuitOpen: One of the breakers is open; nothing was sent.
        """
        # Both are checked before either is entered: a request that is not sent after all must not become a probe.
        self.host.check(self.caller)
        self.model.check(self.caller)
        self.host.enter()
        self.model.enter()
        try:
            response = await self.inner.ask(request)
        except (ModelAuthenticationError, ModelNotFoundError) as error:
            # A kind of rejected request, but a wrong key or model name rejects every request and not just this one.
            self._record_failure(error)
            raise
        # After the case above, whose errors are kinds of this one.
        except (ModelRequestRejectedError, UnusableReply):
            self._record_success()  # the vendor works; it cannot serve this one request
            raise
        except (ModelAPIError, UnexpectedModelBehavior) as error:
            self._record_failure(error)
            raise
        except BaseException:
            # A caller who disconnected, or a mistake in code, says nothing about the model.
            self.host.leave()
            self.model.leave()
            raise
        self._record_success()
        return response

    def _record_success(self) -> None:
        self.host.record_success()
        self.model.record_success()

    def _record_failure(self, error: ModelAPIError | UnexpectedModelBehavior) -> None:
        match error:
            case ModelConnectionError(phase="pool" | "connect"):  # nothing at this address can be reached
                self.model.leave()
                self.host.record_failure(EVERYBODY)
            case _:
                self.host.leave()
                self.model.record_failure(self.caller, _known_open_seconds(error))


def _known_open_seconds(error: ModelAPIError | UnexpectedModelBehavior) -> float | None:
    """Return how long the model is known to fail, or None if one failure does not predict the next."""
    retry_after = (error.retry_after or 0) if isinstance(error, ModelAPIError) else 0
    if isinstance(error, ModelQuotaExceededError):
        return min(retry_after or QUOTA_OPEN_SECONDS, MAX_OPEN_SECONDS)
    # A short `Retry-After` is an ordinary rate limit, which `Retry` handles.
    return min(retry_after, MAX_OPEN_SECONDS) if retry_after > OPEN_SECONDS else None
