"""Limits how many things run at the same time: calls of the service, and requests to one model.

Without the second limit one slow model could tie up every call.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from pydantic_ai.messages import ModelResponse

from chassis.call import TimeBudget
from chassis.guard.failures import ModelQueueFull
from chassis.guard.request import Request, Step

log = structlog.get_logger()


class QueueFull(Exception):
    """The queue in front of a concurrency limit is full, or the wait in it took too long."""


class ConcurrencyLimit:
    """Lets a limited number run at the same time and a limited number wait, in order of arrival.

    Args:
        running: How many may run.
        waiting: How many more may wait.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(running)
        self._max_waiting, self._waiting = waiting, 0

    @asynccontextmanager
    async def acquire(self, seconds: float) -> AsyncGenerator[None]:
        """Hold a slot until the context ends, after waiting for it for at most `seconds`.

        Raises:
            QueueFull: There is no slot and no room to wait, or no slot became free in time.
        """
        if not self._slots.locked():
            await self._slots.acquire()  # a free slot is taken at once, and needs no room in the queue and no timeout
        elif self._waiting < self._max_waiting:
            await self._wait(seconds)
        else:
            raise QueueFull
        try:
            yield
        finally:
            self._slots.release()

    async def _wait(self, seconds: float) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise QueueFull from None
        finally:
            self._waiting -= 1


@dataclass(slots=True)
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
