"""What the ledger, the desk, the cache and the keys need of a database: fetch, execute, transaction, close.

Statements are written once, in the SQL that SQLite and PostgreSQL share, with `$1`-style parameters. Only holding and
settling money are written for each of the two (`tills.py`), because they are asked for with every model request.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any, Literal, Protocol

import structlog

type Row = Mapping[str, Any]
type Value = str | float | None
"""An `int` is a `float` to a type checker; the databases tell them apart."""

LOCK_TIMEOUT_SECONDS = 2.0
"""How long a statement waits for its turn; then the database is called unavailable, and the call goes on without it."""


class Connection(Protocol):
    """What both a database and an open transaction can do.

    Every statement may raise `DatabaseUnavailable`. What else is raised is a mistake in the statement.
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
        """Return which of the two it is."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Run statements together or not at all. What must not change in between has to be locked by an update."""
        ...

    async def close(self) -> None:
        """Let go of it; further statements are an error."""
        ...


log = structlog.get_logger()


async def migrate(connection: Connection) -> None:
    """Apply what is missing. The connection is in a transaction that keeps every other replica from doing the same."""
    await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
    for script in sorted(files("chassis.store").joinpath("migrations").iterdir(), key=lambda file: file.name):
        if script.name.endswith(".sql") and script.name not in done:
            for statement in filter(str.strip, script.read_text(encoding="utf-8").split(";")):
                await connection.execute(statement)
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", script.name)
            log.debug("database.migrated", migration=script.name)
