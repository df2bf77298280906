"""What keeps failing rests for a while, so that callers do not wait for it in vain."""

import time
from dataclasses import dataclass, field

import structlog

from chassis.guard.failures import Resting
from chassis.telemetry import names
from chassis.telemetry.instruments import current

FAILURES_TO_OPEN = 5
REST_SECONDS = 30.0

log = structlog.get_logger()


@dataclass(slots=True)
class Breaker:
    """Opens after a run of failures; after a rest it lets one request through to see.

    Args:
        subject: What rests, for logs and metrics: `model:gpt`, or `destination:openai` for all models there.
        failures: How many requests in a row have failed.
        rests_until: When it may be asked again, on the monotonic clock; None while the breaker is closed.
        probing: A request is under way to see whether it has recovered.
    """

    subject: str
    failures: int = field(default=0, init=False)
    rests_until: float | None = field(default=None, init=False)
    probing: bool = field(default=False, init=False)

    def check(self) -> None:
        """Let a request pass.

        Raises:
            Resting: The subject is resting, or another request is already looking whether it has recovered.
        """
        if self.rests_until is not None and (self.probing or time.monotonic() < self.rests_until):
            raise Resting(self.subject, f"{self.subject} has failed {self.failures} times in a row and rests")

    def enter(self) -> None:
        """Note that a request that `check` let pass is on its way; while the breaker is open, it is the probe."""
        self.probing = self.rests_until is not None

    def leave(self) -> None:
        """Note that a request ended without a verdict, so that another may be the probe."""
        self.probing = False

    def succeeded(self) -> None:
        """Note that the subject works."""
        if self.rests_until is not None:
            log.info("breaker.closed", subject=self.subject)
            self._count(-1)
        self.failures, self.rests_until, self.probing = 0, None, False

    def failed(self, rest_seconds: float | None = None) -> None:
        """Note that the subject does not work.

        Args:
            rest_seconds: How long it is known to stay so; it then rests at once.
        """
        self.failures, self.probing = self.failures + 1, False
        if rest_seconds is not None or self.failures >= FAILURES_TO_OPEN:
            self._open(rest_seconds or REST_SECONDS)

    def _open(self, rest_seconds: float) -> None:
        if self.rests_until is None:
            log.warning(
                "breaker.opened", subject=self.subject, failures=self.failures, rest_seconds=round(rest_seconds)
            )
            self._count(1)
        self.rests_until = max(self.rests_until or 0, time.monotonic() + rest_seconds)

    def _count(self, more: int) -> None:
        current().resting.add(more, {names.SUBJECT: self.subject})
