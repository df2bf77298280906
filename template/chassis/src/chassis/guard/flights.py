"""What is being asked at this moment, so that the same request in flight is sent once."""

import asyncio
from collections.abc import Awaitable, Callable


class Flights[T]:
    """The requests in flight of one process, by a key that covers everything that changes the reply."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Future[T | None]] = {}

    async def landing(self, key: str) -> T | None:
        """Wait for the same request in flight and return what it brought, or None if there is none to wait for.

        A failure is not shared, because it may have been the other call's own deadline or money: the first of those who
        waited is told None and sends, and the others wait for that.
        """
        while (flight := self._flights.get(key)) is not None:
            await asyncio.wait([flight])
            if (landed := flight.result()) is not None:
                return landed
        return None

    async def send(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask at once, and let whoever waits in `landing` have the reply too."""
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            landed = await ask()
            flight.set_result(landed)
            return landed
        finally:
            del self._flights[key]
            if not flight.done():
                flight.set_result(None)
