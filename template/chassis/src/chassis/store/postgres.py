"""A PostgreSQL server, through a pool of asyncpg connections."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, Self

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from chassis.errors import DatabaseProblem, DatabaseUnavailable
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Connection, Row, Value, migrate

driver: Any = asyncpg
"""asyncpg has no types; this file gives types to what goes in and comes out."""
MAX_CONNECTIONS = 10
"""The maximum for one process. More would only wait for each other, because all calls update the same few accounts."""
MIGRATION_LOCK = 0x63_68_61_73_73_69_73
"""The number of the advisory lock under which one replica at a time applies migrations: `chassis` in ASCII."""
NO_NAMED_STATEMENTS = 0
"""The size of asyncpg's cache. PgBouncer in transaction mode may run each transaction in another session of the server,
where the prepared statements of the last one do not exist."""
REASONS: dict[str, DatabaseProblem] = {
    "08": "gone",
    "25": "read-only",
    "26": "gone",  # a prepared statement; a connection pooler may lose it together with the server's session
    "28": "gone",
    "3D": "gone",
    "40": "locked by another process",
    "53": "full",
    "55": "locked by another process",
    "57": "gone",
    "58": "damaged",
    "XX": "damaged",
}
"""The problem of the server, by the class of its SQLSTATE. Any other class is a mistake in the statement."""
NO_PERMISSION = "42501"
"""The SQLSTATE after the permission to write was revoked. The rest of its class are mistakes in the statement."""
FOREIGN_PARAMETERS = frozenset(
    {
        "channel_binding",
        "connect_timeout",
        "connection_limit",
        "gssencmode",
        "pgbouncer",
        "pool_mode",
        "pool_timeout",
        "prepare_threshold",
        "prepareThreshold",
        "prepared_statement_cache_size",
        "prepared_statements",
        "schema",
        "statement_cache_size",
    }
)
"""Parameters of URLs that hosts of PostgreSQL hand out for other drivers. The server would reject them as settings."""


class PostgresDatabase:
    """A database on a PostgreSQL server."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and apply all migrations. Replicas that start at the same time do so one after the other.

        Raises:
            DatabaseUnavailable: The server cannot be reached, refuses the login, or has no such database.
            ValueError: The URL cannot be parsed.
        """
        with _translated_errors():
            url = _without_foreign_parameters(url)
            await _apply_migrations(url)
            # By default the pool resets a session when it is returned, with an extra round trip. The statements of
            # this package change nothing in a session, so there is nothing to reset.
            pool = await driver.create_pool(
                url,
                min_size=1,
                max_size=MAX_CONNECTIONS,
                timeout=LOCK_TIMEOUT_SECONDS,
                reset=_do_not_reset,
                statement_cache_size=NO_NAMED_STATEMENTS,
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
        """Run several statements as one. Each statement sees what others have committed before it starts."""
        async with self._connection() as connection:
            # READ COMMITTED, PostgreSQL's default: at a stricter level a lost race is an error to retry, and `FOR
            # UPDATE` already lets only one of two writers go on.
            await connection.execute("BEGIN")
            try:
                yield connection
                await connection.execute("COMMIT")
            except BaseException:  # a cancellation too, or the pool would get a connection in a transaction
                await connection.roll_back()
                raise

    async def overwrite_deleted(self, tables: Iterable[str]) -> None:
        """Write the files of these tables anew."""
        with _translated_errors():
            connection = await self._pool.acquire(timeout=LOCK_TIMEOUT_SECONDS)
            try:
                for table in tables:
                    await connection.execute(f"VACUUM FULL {table}")  # without a timeout: the table may be large
            finally:
                await self._pool.release(connection)

    async def close(self) -> None:
        """Close every connection, after the statements that are running."""
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator["_Statements"]:
        with _translated_errors():
            connection = await self._pool.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        try:
            yield _Statements(connection)
        finally:
            with _translated_errors():
                await self._pool.release(connection)


class _Statements:
    """The statements of one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        with _translated_errors():
            return await self._connection.fetch(sql, *values, timeout=LOCK_TIMEOUT_SECONDS)

    async def execute(self, sql: str, *values: Value) -> int:
        with _translated_errors():
            status: str = await self._connection.execute(sql, *values, timeout=LOCK_TIMEOUT_SECONDS)
        # asyncpg returns the command tag of the protocol.
        changed = status.rpartition(" ")[2]  # such as `UPDATE 3`
        return int(changed) if changed.isdigit() else 0

    async def roll_back(self) -> None:
        """Undo the transaction, if necessary by closing the connection, which undoes it too."""
        try:
            await self.execute("ROLLBACK")
        except DatabaseUnavailable:
            self._connection.terminate()


async def _apply_migrations(url: str) -> None:
    connection = await driver.connect(url, timeout=LOCK_TIMEOUT_SECONDS, statement_cache_size=NO_NAMED_STATEMENTS)
    try:
        # One transaction, so that a replica which is killed in between leaves no half of a migration.
        async with connection.transaction():
            # No timeout here: the migration of another replica may take longer than an ordinary statement.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            await migrate(_Statements(connection))
    finally:
        await connection.close()


def _without_foreign_parameters(url: str) -> str:
    location, mark, query = url.partition("?")
    own = [item for item in query.split("&") if item.partition("=")[0] not in FOREIGN_PARAMETERS]
    return location + mark + "&".join(own) if any(own) else location


async def _do_not_reset(_connection: object) -> None:
    """Leave the session as it is."""


@contextmanager
def _translated_errors() -> Generator[None]:
    """Raise `DatabaseUnavailable` if the server is the problem. A mistake in a statement stays what it is."""
    try:
        yield
    except TimeoutError as error:
        raise DatabaseUnavailable("too slow") from error
    except driver.PostgresError as error:
        if reason := _reason(error.sqlstate or ""):
            raise DatabaseUnavailable(reason) from error
        raise
    except ValueError:  # an invalid URL or value; asyncpg's error for it is an InterfaceError too, so this comes first
        raise
    except (OSError, EOFError, driver.InterfaceError, driver.InternalClientError) as error:
        raise DatabaseUnavailable("gone") from error


def _reason(sqlstate: str) -> DatabaseProblem | None:
    return "read-only" if sqlstate == NO_PERMISSION else REASONS.get(sqlstate[:2])
