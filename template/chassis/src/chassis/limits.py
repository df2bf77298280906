"""Limits within one process: how many things run at the same time, and how often a caller may call."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

MINUTE = 60.0


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
        # A free slot is taken at once and needs no room in the queue.
        if self._slots.locked() and self._waiting >= self._max_waiting:
            raise QueueFull
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise QueueFull from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()


class RateLimiter:
    """Limits the calls of each caller in any period of 60 seconds (a sliding window log).

    Args:
        per_minute: How many calls.
        clock: Returns seconds that never go back; tests replace it.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._calls: dict[str, deque[float]] = {}

    def check(self, caller: str) -> int | None:
        """Count a call and return None, or return the whole seconds after which the caller may call again."""
        moment, calls = self._clock(), self._calls.setdefault(caller, deque(maxlen=self._per_minute))
        if len(calls) == self._per_minute and moment - calls[0] < MINUTE:
            return math.ceil(MINUTE - (moment - calls[0]))
        calls.append(moment)  # the oldest one drops out
        return None
