"""One database for the ledger, the desk, the cache and the keys, behind four verbs: fetch, execute, transaction, close.

Statements are written once, in the SQL that SQLite and PostgreSQL share, with `$1`-style parameters. SQLite runs on the
event loop's own thread: a statement takes microseconds, and a thread pool would triple that.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, Self

import structlog

from chassis.errors import ConfigError

type Row = Mapping[str, Any]

SCHEME = "sqlite:///"
BUSY_SECONDS = 5.0
log = structlog.get_logger()


class Connection(Protocol):
    """What both a database and an open transaction can do."""

    async def fetch(self, sql: str, *values: str | int | None) -> list[Row]:
        """Return the rows that a statement yields."""
        ...

    async def execute(self, sql: str, *values: str | int | None) -> int:
        """Return how many rows a statement changed."""
        ...


class Database:
    """An SQLite file in WAL mode, with every migration applied."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()
        self._plain = _Statements(connection)

    @classmethod
    async def open(cls, url: str, root: Path) -> Self:
        """Open the database at `url`, create it if need be, and bring its tables up to date.

        Args:
            url: `sqlite:///path`; a relative path starts at `root`.
            root: The project's folder.

        Raises:
            ConfigError: The URL is of another kind, or the file cannot be opened.
        """
        if not url.startswith(SCHEME):
            raise ConfigError("DATABASE_URL", f"the value is {url!r}", f"Write {SCHEME}var/service.db or another path")
        path = root / url.removeprefix(SCHEME)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(path)
            database = cls(connection)
            await database._migrate()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                "DATABASE_URL", f"{path} cannot be opened ({error})", "Name a file that can be written"
            ) from error
        return database

    async def fetch(self, sql: str, *values: str | int | None) -> list[Row]:
        """Return the rows that a statement yields."""
        async with self._lock:
            return await self._plain.fetch(sql, *values)

    async def execute(self, sql: str, *values: str | int | None) -> int:
        """Return how many rows a statement changed."""
        async with self._lock:
            return await self._plain.execute(sql, *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """Run statements together or not at all; the write lock is taken at once, so what is read stays true."""
        async with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._plain
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    async def close(self) -> None:
        """Close the file; further statements are an error."""
        self._connection.close()

    async def _migrate(self) -> None:
        async with self.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
            done = {row["name"] for row in await tx.fetch("SELECT name FROM migrations")}
            for script in sorted(files("chassis.store").joinpath("migrations").iterdir(), key=lambda file: file.name):
                if script.name.endswith(".sql") and script.name not in done:
                    for statement in script.read_text(encoding="utf-8").split(";"):
                        await tx.execute(statement)
                    await tx.execute("INSERT INTO migrations (name) VALUES ($1)", script.name)
                    log.debug("store.migrated", migration=script.name)


class _Statements:
    """The statements of one SQLite connection; it never waits, so nothing can come between two of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: str | int | None) -> list[Row]:
        return [dict(row) for row in self._connection.execute(sql, _named(values))]

    async def execute(self, sql: str, *values: str | int | None) -> int:
        return self._connection.execute(sql, _named(values)).rowcount


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _named(values: tuple[str | int | None, ...]) -> dict[str, str | int | None]:
    """SQLite binds `$1` by the name `1`."""
    return {str(number): value for number, value in enumerate(values, start=1)}
