"""The time: what it is, how it is stored, and work that is repeated at an interval."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog

from chassis.errors import DatabaseUnavailable

log = structlog.get_logger()


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def to_timestamp(moment: datetime) -> str:
    """Return a time as text that sorts in the order of time, such as `2026-11-23T15:04:05.000000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


@asynccontextmanager
async def repeated(name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> AsyncGenerator[None]:
    """Do some work now and at this interval until the context ends. An error is logged, and the next try follows.

    Args:
        name: What is done, as the log calls it.
        seconds: The pause in between.
        work: Does it once.
    """
    task = asyncio.create_task(_repeat(name, seconds, work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _repeat(name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await work()
        except DatabaseUnavailable as error:
            log.warning("background.waiting", work=name, reason=error.reason)
        except Exception as error:
            log.exception("background.failed", work=name, error=type(error).__name__)
        await asyncio.sleep(seconds)
