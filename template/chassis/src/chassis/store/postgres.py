"""A PostgreSQL server, through a pool of asyncpg connections."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, Self

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from chassis.errors import DatabaseUnavailable
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Connection, Row, Value, migrate

driver: Any = asyncpg
"""It has no types; what goes in and comes out is typed here."""
CONNECTIONS = 10
"""How many one process has at most; on one hot set of accounts more of them would only wait for each other."""
MIGRATION_LOCK = 0x63_68_61_73_73_69_73
"""The number of the advisory lock that replicas take in turn at their start: `chassis` in ASCII."""
REASONS = {
    "08": "gone",
    "25": "read-only",
    "28": "gone",
    "3D": "gone",
    "40": "locked by another process",
    "53": "full",
    "55": "locked by another process",
    "57": "gone",
    "58": "damaged",
    "XX": "damaged",
}
"""What is wrong with the server, by the class of its SQLSTATE; any other class is a mistake in the statement."""


class PostgresDatabase:
    """A database on a PostgreSQL server."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @property
    def dialect(self) -> Literal["postgresql"]:
        """Return which kind of database it is."""
        return "postgresql"

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect, and bring the tables up to date; replicas that start at once do so one after the other.

        Raises:
            DatabaseUnavailable: The server cannot be reached, does not let us in, or has no such database.
            ValueError: The URL cannot be meant.
        """
        with _named_errors():
            await _bring_up_to_date(url)
            # The statements of this package leave nothing behind in a session, so there is nothing to reset; asking
            # the server to would double the round trips.
            pool = await driver.create_pool(
                url, min_size=1, max_size=CONNECTIONS, timeout=LOCK_TIMEOUT_SECONDS, reset=_leave_as_it_is
            )
        return cls(pool)

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows that a statement yields."""
        async with self._connection() as connection:
            return await connection.fetch(sql, *values)

    async def execute(self, sql: str, *values: Value) -> int:
        """Return how many rows a statement changed."""
        async with self._connection() as connection:
            return await connection.execute(sql, *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """Run statements together or not at all; each sees what others have committed before it."""
        async with self._connection() as connection:
            await connection.execute("BEGIN")
            try:
                yield connection
                await connection.execute("COMMIT")
            except BaseException:
                await connection.roll_back()
                raise

    async def close(self) -> None:
        """Close every connection, after the statements under way."""
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator["_Statements"]:
        with _named_errors():
            connection = await self._pool.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        try:
            yield _Statements(connection)
        finally:
            with _named_errors():
                await self._pool.release(connection)


class _Statements:
    """The statements of one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        with _named_errors():
            return await self._connection.fetch(sql, *values, timeout=LOCK_TIMEOUT_SECONDS)

    async def execute(self, sql: str, *values: Value) -> int:
        with _named_errors():
            status: str = await self._connection.execute(sql, *values, timeout=LOCK_TIMEOUT_SECONDS)
        changed = status.rpartition(" ")[2]
        return int(changed) if changed.isdigit() else 0

    async def roll_back(self) -> None:
        """Undo what the transaction did; a connection that cannot even do that is closed, which undoes it too."""
        try:
            await self.execute("ROLLBACK")
        except DatabaseUnavailable:
            self._connection.terminate()


async def _bring_up_to_date(url: str) -> None:
    connection = await driver.connect(url, timeout=LOCK_TIMEOUT_SECONDS)
    try:
        async with connection.transaction():
            # Another replica's migration may take longer than the patience for a statement.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            await migrate(_Statements(connection))
    finally:
        await connection.close()


async def _leave_as_it_is(_connection: object) -> None:
    """Reset nothing."""


@contextmanager
def _named_errors() -> Generator[None]:
    try:
        yield
    except TimeoutError as error:
        raise DatabaseUnavailable("too slow") from error
    except driver.PostgresError as error:
        if reason := REASONS.get(error.sqlstate[:2]):
            raise DatabaseUnavailable(reason) from error
        raise
    except ValueError:  # a URL or a value that does not fit, although asyncpg calls it an InterfaceError too
        raise
    except (OSError, driver.InterfaceError) as error:
        raise DatabaseUnavailable("gone") from error
