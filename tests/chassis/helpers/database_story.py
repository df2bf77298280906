"""Runs a story with a database of its own, on SQLite or PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from chassis.store.database import Database
from chassis.store.opening import open_database


@asynccontextmanager
async def database_at(url: str, root: Path = Path()) -> AsyncGenerator[Database]:
    """Open a database as a service does."""
    database = await open_database(url, root)
    try:
        yield database
    finally:
        await database.close()


def run_with_database[T](url: str, story: Callable[[Database], Awaitable[T]], root: Path = Path()) -> T:
    """Return the result of a story, given the database at `url`; a relative path in it begins at `root`."""

    async def run() -> T:
        async with database_at(url, root) as database:
            return await story(database)

    return asyncio.run(run())
