"""A model that keeps failing rests for a while, so that callers do not wait for it in vain."""

import time
from dataclasses import dataclass, field

import structlog

from chassis.guard.failures import Resting

FAILURES_TO_OPEN = 5
REST_SECONDS = 30.0

log = structlog.get_logger()


@dataclass(slots=True)
class Breaker:
    """Opens after a run of failures; after a rest it lets one request through to see.

    Args:
        model: The model's name, for the log.
        failures: How many requests in a row have failed.
        opened_at: When it opened, on the monotonic clock; None while it is closed.
    """

    model: str
    failures: int = field(default=0, init=False)
    opened_at: float | None = field(default=None, init=False)

    def enter(self) -> None:
        """Let a request pass.

        Raises:
            Resting: The model is resting, or another request is already looking whether it has recovered.
        """
        if self.opened_at is None:
            return
        if time.monotonic() - self.opened_at < REST_SECONDS:
            raise Resting(self.model, f"{self.model} has failed {self.failures} times in a row and rests")
        self.opened_at = time.monotonic()  # this request is the probe; the others go on waiting

    def succeeded(self) -> None:
        """Note that the model works."""
        if self.opened_at is not None:
            log.info("breaker.closed", model=self.model)
        self.failures, self.opened_at = 0, None

    def failed(self) -> None:
        """Note that the model does not."""
        self.failures += 1
        if self.failures >= FAILURES_TO_OPEN:
            if self.opened_at is None:
                log.warning("breaker.opened", model=self.model, failures=self.failures, rest_seconds=REST_SECONDS)
            self.opened_at = time.monotonic()
