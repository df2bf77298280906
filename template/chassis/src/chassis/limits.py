"""A line to stand in: so many at once, so many more who wait, and nobody beyond that."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """As many wait already as may wait, or the wait has been too long."""


class ConcurrencyLimit:
    """Lets a bounded number in at once, in the order in which they came.

    Args:
        places: How many may be inside.
        waiting: How many more may wait outside.
    """

    def __init__(self, places: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._most_waiting, self._waiting = waiting, 0

    @asynccontextmanager
    async def acquire(self, seconds: float) -> AsyncGenerator[None]:
        """Be inside while the context lasts, after waiting at most so many seconds.

        Raises:
            LineFull: There is no place, or none became free in time.
        """
        if self._places.locked():
            await self._wait(seconds)
        else:
            await self._places.acquire()  # at once
        try:
            yield
        finally:
            self._places.release()

    async def _wait(self, seconds: float) -> None:
        if self._waiting >= self._most_waiting:
            raise QueueFull
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            raise QueueFull from None
        finally:
            self._waiting -= 1


MINUTE = 60.0


class RateLimiter:
    """Lets everybody in so many times a minute, whichever minute one looks at. It knows only this process.

    Args:
        per_minute: How many times.
        clock: Seconds that never go back; a test may name them.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._times: dict[str, deque[float]] = {}

    def check(self, who: str) -> int | None:
        """Note that somebody comes and return None, or the whole seconds after which they may."""
        moment, times = self._clock(), self._times.setdefault(who, deque(maxlen=self._per_minute))
        if len(times) == self._per_minute and moment - times[0] < MINUTE:
            return math.ceil(MINUTE - (moment - times[0]))
        times.append(moment)
        return None
