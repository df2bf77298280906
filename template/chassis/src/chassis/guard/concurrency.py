"""Sends one model a bounded number of requests at once, so that a slow model cannot tie up every call."""

from dataclasses import dataclass

import structlog
from pydantic_ai.messages import ModelResponse

from chassis.call import TimeBudget
from chassis.guard.failures import ModelQueueFull
from chassis.guard.request import Request, Step
from chassis.limits import ConcurrencyLimit, QueueFull

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LimitConcurrency:
    """Asks when there is a place, and gives up where too many wait already.

    Args:
        inner: The rest of the walk.
        line: The model's, shared by all calls of the process.
        share: How long a request may wait.
        name: The model's name, for the log.
    """

    inner: Step
    limit: ConcurrencyLimit
    time_budget: TimeBudget
    name: str

    async def ask(self, request: Request) -> ModelResponse:
        """Wait for a place, and ask."""
        try:
            async with self.limit.acquire(self.time_budget.seconds()):
                return await self.inner.ask(request)
        except QueueFull:
            log.warning("model.queue_full", model=self.name)
            raise ModelQueueFull(self.name, f"Too many requests wait for {self.name}") from None
