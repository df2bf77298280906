"""Limits the requests that one model is sent at the same time, so that a slow model cannot tie up every call."""

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
    """Waits for a slot of the model's concurrency limit, for at most the model's time budget.

    Args:
        inner: The next step.
        limit: The model's limit, shared by all calls of the process.
        time_budget: How long a request may wait.
        model: The model's name, for the log.
    """

    inner: Step
    limit: ConcurrencyLimit
    time_budget: TimeBudget
    model: str

    async def ask(self, request: Request) -> ModelResponse:
        """Ask once there is a slot.

        Raises:
            ModelQueueFull: Too many requests are waiting already, or the wait took too long.
        """
        try:
            async with self.limit.acquire(self.time_budget.seconds()):
                return await self.inner.ask(request)
        except QueueFull:
            log.warning("model.queue_full", model=self.model)
            raise ModelQueueFull(self.model, f"Too many requests are waiting for {self.model}") from None
