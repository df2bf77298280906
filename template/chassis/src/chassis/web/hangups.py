"""Notices a caller who hangs up, and ends their call: nobody is left to read the answer that a model is writing."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Message, Receive

HUNG_UP: Message = {"type": "http.disconnect"}

type Work = Callable[[Receive], Coroutine[Any, Any, None]]
"""What answers a request, given where to receive what is left of it."""


async def while_connected(work: Work, body: bytes, receive: Receive) -> None:
    """Do the work, and cancel it as soon as the caller hangs up. Whatever it shields, such as money, comes to its end.

    Args:
        work: Answers the request.
        body: The whole body, which has been received already.
        receive: Where the next message can only be that the caller has hung up.
    """
    hanging_up = asyncio.create_task(_hang_up(receive))
    unread = [body]

    async def replay() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        await asyncio.wait({hanging_up})
        return HUNG_UP

    working = asyncio.create_task(work(replay))
    try:
        await asyncio.wait({working, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
        hanging_up.cancel()
    if not working.cancelled():
        working.result()


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != HUNG_UP["type"]:
        pass  # HTTP has nothing else to say after a body, but a server might
