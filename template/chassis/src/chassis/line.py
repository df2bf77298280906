"""A line to stand in: so many at once, so many more who wait, and nobody beyond that."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class LineFull(Exception):
    """As many wait already as may wait, or the wait has been too long."""


class Line:
    """Lets a bounded number in at once, in the order in which they came.

    Args:
        places: How many may be inside.
        waiting: How many more may wait outside.
    """

    def __init__(self, places: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._most_waiting, self._waiting = waiting, 0

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncGenerator[None]:
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
            raise LineFull
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            raise LineFull from None
        finally:
            self._waiting -= 1
