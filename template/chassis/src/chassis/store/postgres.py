"""A PostgreSQL server, through a pool of asyncpg connections.

asyncpg has a pool too, and a cache of statements. But behind a pooler such as PgBouncer the cache has to be off, and
then a statement takes two round trips, and more CPU time than ours and the pool's take together.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Literal, Self

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import structlog

from chassis.errors import DatabaseProblem, DatabaseUnavailable
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Row, Value, migrate

driver: Any = asyncpg
"""asyncpg has no types; this file gives types to what goes in and comes out."""
MAX_CONNECTIONS = 10
"""The maximum for one process. More would only wait for each other, because all calls update the same few accounts."""
MAX_IDLE_SECONDS = 300.0
"""After that a connection is not used again: a firewall may have dropped it, which only a timeout would show."""
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
STATES: dict[str, DatabaseProblem] = {
    "42501": "read-only",  # the permission to write was revoked
    "42703": "missing a table or a column",
    "42P01": "missing a table or a column",
    "42P07": "missing a table or a column",  # the table of the migrations: they are applied again
}
"""The problem by the whole SQLSTATE. The rest of this class are mistakes in the statement."""
log = structlog.get_logger()
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

    def __init__(self, url: str) -> None:
        self._url, self._closed = url, False
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[_Session] = []

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and apply all migrations. Replicas that start at the same time do so one after the other.

        Raises:
            DatabaseUnavailable: The server cannot be reached, refuses the login, or has no such database.
            ValueError: The URL cannot be parsed.
        """
        database = cls(_without_foreign_parameters(url))
        try:
            # One transaction, so that a replica which is killed in between leaves no half of a migration.
            async with database.transaction() as tx:
                await tx.execute_patiently(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
                await migrate(tx)
        except BaseException:
            await database.close()
            raise
        return database

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows that a statement yields."""
        async with self._session() as session:
            return await session.fetch(sql, *values)

    async def execute(self, sql: str, *values: Value) -> int:
        """Return how many rows a statement changed."""
        async with self._session() as session:
            return await session.execute(sql, *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator["_Session"]:
        """Run several statements as one. Each statement sees what others have committed before it starts."""
        async with self._session() as session:
            # READ COMMITTED, PostgreSQL's default: at a stricter level a lost race is an error to retry, and `FOR
            # UPDATE` already lets only one of two writers go on.
            await session.execute("BEGIN")
            try:
                yield session
                await session.execute("COMMIT")
            except BaseException:  # a cancellation too, or the pool would get a connection in a transaction
                await session.roll_back()
                raise

    async def overwrite_deleted(self, tables: Iterable[str]) -> None:
        """Write the files of these tables anew."""
        async with self._session() as session:
            for table in tables:
                await session.execute_patiently(f"VACUUM FULL {table}")

    async def close(self) -> None:
        """Close every connection, after the statements that are running."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LOCK_TIMEOUT_SECONDS):
                for _ in range(MAX_CONNECTIONS):
                    await self._slots.acquire()
        while self._idle:
            await self._idle.pop().close()

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator["_Session"]:
        """Have a connection alone. One that is of no more use afterwards is closed, which undoes its transaction."""
        with _translated_errors():
            await self._acquire_slot()
        try:
            session = self._idle_session() or await self._connect()
            try:
                yield session
            finally:
                if session.usable and not self._closed:
                    self._idle.append(session)
                else:
                    await asyncio.shield(session.close())  # also if its caller is cancelled once more
        finally:
            self._slots.release()

    async def _acquire_slot(self) -> None:
        if self._closed:
            raise DatabaseUnavailable("gone")
        if not self._slots.locked():
            await self._slots.acquire()  # does not wait, so it needs no timeout, which would double its cost
            return
        async with asyncio.timeout(LOCK_TIMEOUT_SECONDS):
            await self._slots.acquire()

    def _idle_session(self) -> "_Session | None":
        while self._idle:
            session = self._idle.pop()  # the one that was used last
            if session.usable and time.monotonic() < session.used_at + MAX_IDLE_SECONDS:
                return session
            session.terminate()
        return None

    async def _connect(self) -> "_Session":
        with _translated_errors():
            return _Session(
                await driver.connect(self._url, timeout=LOCK_TIMEOUT_SECONDS, statement_cache_size=NO_NAMED_STATEMENTS)
            )


class _Session:
    """A connection, and the statements that it has described."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._statements: dict[str, Any] = {}
        self._answered, self.used_at = True, time.monotonic()

    @property
    def usable(self) -> bool:
        """Return whether the server has answered the last statement, and no transaction is open."""
        connection = self._connection
        return self._answered and not connection.is_closed() and not connection.is_in_transaction()

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        with self._translated_errors():
            statement = self._statements.get(sql) or await self._described(sql)
            return await statement.fetch(*values, timeout=LOCK_TIMEOUT_SECONDS)

    async def execute(self, sql: str, *values: Value) -> int:
        with self._translated_errors():
            if values:
                statement = self._statements.get(sql) or await self._described(sql)
                await statement.fetch(*values, timeout=LOCK_TIMEOUT_SECONDS)
                status: str = statement.get_statusmsg()
            else:
                status = await self._connection.execute(sql, timeout=LOCK_TIMEOUT_SECONDS)
        # The command tag of the protocol.
        changed = status.rpartition(" ")[2]  # such as `UPDATE 3`
        return int(changed) if changed.isdigit() else 0

    async def execute_patiently(self, sql: str) -> None:
        """Run a statement that may take longer than any other."""
        with self._translated_errors():
            await self._connection.execute(sql)

    async def roll_back(self) -> None:
        if self._answered:
            with suppress(DatabaseUnavailable):
                await self.execute("ROLLBACK")

    async def close(self) -> None:
        """Close the connection after the server has ended a statement that was cancelled or took too long."""
        with suppress(Exception):  # then asyncpg closes it without the server
            await self._connection.close(timeout=LOCK_TIMEOUT_SECONDS)

    def terminate(self) -> None:
        self._connection.terminate()

    async def _described(self, sql: str) -> Any:
        """Return a statement without a name, of which asyncpg knows the types.

        It exists for a single run. asyncpg sends it anew each time, in the same round trip as its values.
        """
        statement = await self._connection.prepare(sql, name="", timeout=LOCK_TIMEOUT_SECONDS)
        if "SELECT *" not in sql:  # a later release may add columns, so what that returns is not the same forever
            self._statements[sql] = statement
        return statement

    @contextmanager
    def _translated_errors(self) -> Generator[None]:
        self._answered = False
        with _translated_errors():
            try:
                yield
            except driver.PostgresError:
                self._answered = True
                raise
        self._answered, self.used_at = True, time.monotonic()


def _without_foreign_parameters(url: str) -> str:
    location, mark, query = url.partition("?")
    own = [item for item in query.split("&") if item.partition("=")[0] not in FOREIGN_PARAMETERS]
    return location + mark + "&".join(own) if any(own) else location


@contextmanager
def _translated_errors() -> Generator[None]:
    """Raise `DatabaseUnavailable` if the server is the problem. A mistake in a statement stays what it is."""
    try:
        yield
    except TimeoutError as error:
        raise DatabaseUnavailable("too slow") from error
    except driver.PostgresError as error:
        if reason := _reason(error.sqlstate or ""):
            if reason == "missing a table or a column":
                log.warning("database.incomplete", problem=str(error))
            raise DatabaseUnavailable(reason) from error
        raise
    except ValueError:  # an invalid URL or value; asyncpg's error for it is an InterfaceError too, so this comes first
        raise
    except (OSError, EOFError, driver.InterfaceError, driver.InternalClientError) as error:
        raise DatabaseUnavailable("gone") from error


def _reason(sqlstate: str) -> DatabaseProblem | None:
    return STATES.get(sqlstate) or REASONS.get(sqlstate[:2])
