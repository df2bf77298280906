"""One SQLite file, used on the event loop's own thread: statements take microseconds, a thread pool triples that.

Waiting for another process is the exception: it is done in naps, so that everybody else's calls go on meanwhile.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, Self

from chassis.errors import DatabaseUnavailable
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Connection, Row, Value, migrate

BUSY_WAIT_SECONDS = (0.001, 0.02)
"""Between two tries to get the write lock that another process has; random, so that the unlucky do not stay so."""
NAMES = tuple(str(number) for number in range(1, 100))
"""SQLite binds `$1` by the name `1`."""
REASONS = {
    sqlite3.SQLITE_BUSY: "locked by another process",
    sqlite3.SQLITE_LOCKED: "locked by another process",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_IOERR: "gone",
    sqlite3.SQLITE_CANTOPEN: "gone",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
"""What is wrong with the file, by SQLite's primary result code; any other code is a mistake in the statement."""


class SqliteDatabase:
    """An SQLite file in WAL mode."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection
        self._file: tuple[int, int] | None = None
        self._lock = asyncio.Lock()
        self._statements = _Statements(connection)

    @property
    def dialect(self) -> Literal["sqlite"]:
        """Return which kind of database it is."""
        return "sqlite"

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file, create it if need be, and bring its tables up to date.

        Raises:
            DatabaseUnavailable: It is locked, full, read-only or no database.
            sqlite3.Error: There can be no such file.
        """
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        connection.row_factory = sqlite3.Row
        database = cls(path, connection)
        try:
            await database.execute("PRAGMA journal_mode = WAL")
            await database.execute("PRAGMA synchronous = NORMAL")
            async with database.transaction() as tx:
                await migrate(tx)
        except BaseException:
            connection.close()
            raise
        database._file = _identity(path)
        return database

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows that a statement yields."""
        cursor = await self._begin(sql, values)
        try:
            return [dict(row) for row in cursor]
        except sqlite3.Error as error:
            raise _named(error) from error
        finally:
            self._lock.release()

    async def execute(self, sql: str, *values: Value) -> int:
        """Return how many rows a statement changed."""
        cursor = await self._begin(sql, values)
        self._lock.release()
        return cursor.rowcount

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """Run statements together or not at all; the write lock is taken at once."""
        await self._begin("BEGIN IMMEDIATE")
        try:
            yield self._statements
            await self._statements.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()
            self._lock.release()

    async def close(self) -> None:
        """Close the file."""
        self._connection.close()

    async def _begin(self, sql: str, values: tuple[Value, ...] = ()) -> sqlite3.Cursor:
        """Run a statement and keep the connection for whoever asked; they release `_lock` when they are done."""
        give_up_at = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            await self._enter()
            try:
                return self._connection.execute(sql, _by_name(values))
            except BaseException as error:
                self._lock.release()
                if not isinstance(error, sqlite3.Error):
                    raise
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                    raise _named(error) from error
            await asyncio.sleep(random.uniform(*BUSY_WAIT_SECONDS))  # noqa: S311 - nothing secret about it

    async def _enter(self) -> None:
        """Wait until no other transaction is open here, and make sure that the file is still the one that was opened.

        SQLite would go on writing into a deleted file, and the next process would begin a new ledger beside it.
        """
        if self._file is not None and _identity(self._path) != self._file:
            raise DatabaseUnavailable("gone")
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            await asyncio.wait_for(self._lock.acquire(), LOCK_TIMEOUT_SECONDS)
        except TimeoutError as error:
            raise DatabaseUnavailable("too slow") from error


class _Statements:
    """The statements of an open transaction; none of them waits, so nothing can come between two of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        try:
            return [dict(row) for row in self._connection.execute(sql, _by_name(values))]
        except sqlite3.Error as error:
            raise _named(error) from error

    async def execute(self, sql: str, *values: Value) -> int:
        try:
            return self._connection.execute(sql, _by_name(values)).rowcount
        except sqlite3.Error as error:
            raise _named(error) from error


def _named(error: sqlite3.Error) -> Exception:
    """Return what is wrong with the file as an error of ours; a mistake in a statement stays what it is."""
    reason = REASONS.get(_code(error))
    return DatabaseUnavailable(reason) if reason else error


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; errors of the Python module itself have none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - before every statement, so it counts that this is twice as fast
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _by_name(values: tuple[Value, ...]) -> dict[str, Value]:
    """SQLite binds `$1` by the name `1`."""
    return dict(zip(NAMES, values, strict=False))
