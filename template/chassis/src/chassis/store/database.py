"""The interface of the two databases, SQLite and PostgreSQL: fetch, execute, transaction, close.

Statements are written once, in the SQL that both understand, with parameters such as `$1`. The exception is reserving
and settling money, where each has its own (`money/ledger.py`), because every model request does both.
"""

import secrets
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any, Literal, Protocol

import structlog

type Row = Mapping[str, Any]
type Value = str | float | None
"""Type checkers accept an `int` as a `float`; the databases keep them apart."""

LOCK_TIMEOUT_SECONDS = 2.0
"""The time that a statement may wait. After that the database is unavailable, and the call goes on without it."""
PROBE_BYTES = 200
"""About the size of a reservation."""
log = structlog.get_logger()


class Connection(Protocol):
    """The methods that a database and an open transaction have in common.

    Every statement may raise `DatabaseUnavailable`. Any other error is a mistake in the statement.
    """

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows that a statement yields."""
        ...

    async def execute(self, sql: str, *values: Value) -> int:
        """Return how many rows a statement changed."""
        ...


class Database(Connection, Protocol):
    """A database with every migration applied."""

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """The kind of database."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Run several statements as one: all or none take effect.

        A row that was read may change before the end of the transaction, unless an update has locked it first.
        """
        ...

    async def overwrite_deleted(self, tables: Iterable[str]) -> None:
        """Write these tables anew, so that their files no longer contain what was deleted. Others wait meanwhile.

        Raises:
            DatabaseUnavailable: Another process uses the tables all the time.
        """
        ...

    async def close(self) -> None:
        """Close all connections. Further statements are errors."""
        ...


async def check_writable(database: Database) -> None:
    """Write and delete a row the size of a reservation, as every question that is sent to a model does.

    Reading would succeed on a database that is locked, read-only or full. The transaction is committed, because a full
    disk shows only then.

    Raises:
        DatabaseUnavailable: The database cannot be written.
    """
    probe = f"probe_{secrets.token_hex(12)}"
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO reservations (id, keys, amount, opened_at) VALUES ($1, $2, 0, '')", probe, "x" * PROBE_BYTES
        )
        await tx.execute("UPDATE accounts SET spent = spent WHERE key = $1", probe)
        await tx.execute("DELETE FROM reservations WHERE id = $1", probe)


async def migrate(connection: Connection) -> None:
    """Apply the migrations that are missing.

    Args:
        connection: A transaction that keeps every other process from migrating at the same time.
    """
    await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
    applied = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
    for script in sorted(files("chassis.store").joinpath("migrations").iterdir(), key=lambda file: file.name):
        if script.name.endswith(".sql") and script.name not in applied:
            # Both drivers run one statement at a time, so a migration must not contain any other semicolon.
            for statement in filter(str.strip, script.read_text(encoding="utf-8").split(";")):
                await connection.execute(statement)
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", script.name)
            log.debug("database.migrated", migration=script.name)
