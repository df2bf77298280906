"""A thread for work that may never end: it takes no place from others, and does not keep the process alive."""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread


async def in_a_thread[T](work: Callable[[], T], name: str) -> T:
    """Return what the work returns, or raise what it raises. Whoever is cancelled leaves it behind.

    Threads of a pool would be waited for when the process ends, and a few that hang would fill it.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def tell(set_outcome: Callable[[], None]) -> None:
        if not ended.done():
            set_outcome()

    def run() -> None:
        try:
            set_outcome = partial(ended.set_result, work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            set_outcome = partial(ended.set_exception, error)
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            loop.call_soon_threadsafe(tell, set_outcome)

    Thread(target=contextvars.copy_context().run, args=(run,), name=name, daemon=True).start()
    return await ended
