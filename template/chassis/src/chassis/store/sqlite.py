"""An SQLite file, used on the event loop's own thread: a statement takes microseconds, and a thread pool triples that.

Waiting for another process that has locked the file may take seconds. So that is done with `asyncio.sleep`, and other
calls continue in the meantime.
"""

import asyncio
import os
import random
import re
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal, Protocol, Self

import structlog

from chassis.errors import DatabaseProblem, DatabaseUnavailable
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Connection, Row, Value, migrate

BUSY_WAIT_SECONDS = (0.001, 0.02)
"""The shortest and longest pause before another try to lock the file. It is random, so that no process always loses."""
PARAMETER_NAMES = tuple(str(number) for number in range(1, 100))
"""SQLite binds the parameter `$1` by the name `1`."""
REASONS: dict[int, DatabaseProblem] = {
    sqlite3.SQLITE_BUSY: "locked by another process",
    sqlite3.SQLITE_LOCKED: "locked by another process",
    sqlite3.SQLITE_PROTOCOL: "locked by another process",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_NOMEM: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_PERM: "read-only",
    sqlite3.SQLITE_IOERR: "gone",
    sqlite3.SQLITE_CANTOPEN: "gone",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
"""The problem of the file, by SQLite's primary result code. Any other code is a mistake in the statement."""
OTHER_TABLES = re.compile(r"no such (table|column): |table .* has no column named |table .* already exists")
"""What SQLite says when the tables are not those of the migrations. It has no code of its own for that."""
log = structlog.get_logger()


class Run(Protocol):
    """Runs a statement of an open transaction."""

    def __call__(self, sql: str, *values: Value) -> sqlite3.Cursor:
        """Return the cursor, which knows how many rows changed and yields those that were asked for."""
        ...


class SqliteDatabase:
    """An SQLite file in WAL mode, with one connection."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection
        self._file: tuple[int, int] | None = None
        self._lock, self._waiting = asyncio.Lock(), 0
        self._statements = _Statements(self._run)

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file, create it if necessary, and apply all migrations.

        Raises:
            DatabaseUnavailable: The file is locked, full, read-only or not a database.
            sqlite3.Error: The file cannot be created.
        """
        # Transactions begin and end explicitly (isolation_level), and waiting is done here, not in SQLite (timeout).
        # `timeout` would block the thread of the event loop, and with it every other call.
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        connection.row_factory = sqlite3.Row
        database = cls(path, connection)
        try:
            # WAL: readers do not wait for a writer. NORMAL: a commit does not wait for the disk. A power failure may
            # undo the last transactions, but the end of the process cannot.
            await database.execute("PRAGMA journal_mode = WAL")
            await database.execute("PRAGMA synchronous = NORMAL")
            async with database.transaction() as tx:
                await migrate(tx)
        except BaseException:
            connection.close()
            raise
        # Only now: SQLite opens and creates the file with the first statement.
        database._file = _identity(path)
        return database

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows that a statement yields."""
        cursor = await self._started(sql, *values)
        try:
            with _translated_errors():
                return _rows(cursor)
        finally:
            self._lock.release()

    async def execute(self, sql: str, *values: Value) -> int:
        """Return how many rows a statement changed."""
        cursor = await self._started(sql, *values)
        self._lock.release()
        return cursor.rowcount

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """Run several statements as one. The file is locked for writing from the start (`IMMEDIATE`).

        With SQLite's default, two transactions could both read and then both fail to write.
        """
        await self._started("BEGIN IMMEDIATE")
        try:
            yield self._statements
            await self._statements.execute("COMMIT")
        finally:
            self._end_transaction()

    async def transact[T](self, work: Callable[[Run], T]) -> T:
        """Return what a function returns that runs several statements as one.

        It is like `transaction`, for a third of the time: the function cannot wait, so nothing has to be prepared for
        that between two statements.
        """
        await self._started("BEGIN IMMEDIATE")
        try:
            with _translated_errors():
                result = work(self._run)
                self._connection.execute("COMMIT")
                return result
        finally:
            self._end_transaction()

    async def overwrite_deleted(self, tables: Iterable[str]) -> None:
        """Write the whole file anew, and empty the log beside it."""
        del tables
        await self.execute("VACUUM")
        give_up_at = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while (await self.fetch("PRAGMA wal_checkpoint(TRUNCATE)"))[0]["busy"]:
            if time.monotonic() >= give_up_at:
                raise DatabaseUnavailable("locked by another process")
            await asyncio.sleep(random.uniform(*BUSY_WAIT_SECONDS))  # noqa: S311 - not a secret

    async def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _run(self, sql: str, *values: Value) -> sqlite3.Cursor:
        return self._connection.execute(sql, dict(zip(PARAMETER_NAMES, values, strict=False)))

    def _end_transaction(self) -> None:
        try:
            if self._connection.in_transaction:  # after an error, a cancellation or a failed COMMIT
                self._connection.rollback()
        finally:
            self._lock.release()

    async def _started(self, sql: str, *values: Value) -> sqlite3.Cursor:
        """Run a statement. Until the caller releases the lock, no other task of this process can use the connection.

        If another process has locked the file, release the connection before the next try, because other tasks may only
        want to read, which is possible meanwhile.
        """
        give_up_at = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            await self._acquire_lock()
            try:
                return self._run(sql, *values)
            except sqlite3.Error as error:
                self._lock.release()
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                    raise _translated(error) from error
            except BaseException:  # such as a number that is too large for SQLite
                self._lock.release()
                raise
            await asyncio.sleep(random.uniform(*BUSY_WAIT_SECONDS))  # noqa: S311 - not a secret

    async def _acquire_lock(self) -> None:
        """Have the connection alone, after waiting for other tasks of this process.

        Raises:
            DatabaseUnavailable: The wait was too long, or the file was deleted or replaced since it was opened. SQLite
                would write into the deleted file, while the next process starts with a new one and a fresh budget.
        """
        # Checked before every statement: a restored backup or a `rm` must be noticed before money is spent unseen.
        if self._file is not None and _identity(self._path) != self._file:
            raise DatabaseUnavailable("gone")
        # While others wait, `acquire` queues behind them although the lock is free, and then needs the timeout.
        if not self._lock.locked() and not self._waiting:
            await self._lock.acquire()  # does not wait, so it needs no timeout, which would double its cost
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_SECONDS):
                await self._lock.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("too slow") from error
        finally:
            self._waiting -= 1


class _Statements:
    """The statements of an open transaction. None of them waits, so no other task can run between two of them."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        with _translated_errors():
            return _rows(self._run(sql, *values))

    async def execute(self, sql: str, *values: Value) -> int:
        with _translated_errors():
            return self._run(sql, *values).rowcount


@contextmanager
def _translated_errors() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error) from error


def _translated(error: sqlite3.Error) -> Exception:
    """Return `DatabaseUnavailable` if the file is the problem. A mistake in a statement stays what it is."""
    if OTHER_TABLES.match(str(error)):
        log.warning("database.incomplete", problem=str(error))
        return DatabaseUnavailable("missing a table or a column")
    reason = REASONS.get(_code(error))
    return DatabaseUnavailable(reason) if reason else error


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code. Errors of the Python module itself have none."""
    # The low byte; the others say which kind of it, such as SQLITE_BUSY_SNAPSHOT.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - twice as fast, which counts before every statement
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _rows(cursor: sqlite3.Cursor) -> list[Row]:
    return [dict(row) for row in cursor]
