"""Opens the database that `CHASSIS_DATABASE_URL` names, for the service or for one command."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from chassis.config.project import Project, load_settings, private_file
from chassis.errors import NEEDS_BACKUP, ConfigError, DatabaseUnavailable
from chassis.store.database import Database
from chassis.store.sqlite import SqliteDatabase
from chassis.telemetry.logs import configure_logs

SQLITE_PREFIX = "sqlite:///"
POSTGRES_SCHEME = "postgresql"
NOT_A_PORT = re.compile(r"^([^:/]*):(?!\d{1,5}(?:/|$))[^/]*")
"""A host, followed by a colon and something that is not a port."""


async def open_database(url: str, root: Path) -> Database:
    """Open the database at `url`, create its tables if necessary, and apply all migrations.

    Args:
        url: `sqlite:///path`, where a relative path starts at `root`, or `postgresql://user:password@host/name`.
        root: The project's folder.

    Raises:
        ConfigError: The URL has another form, or the database cannot be opened.
    """
    if url.startswith(SQLITE_PREFIX):
        path = url.removeprefix(SQLITE_PREFIX)
        if not path or path.startswith((":", "file:")) or "?" in path or not path.isprintable():
            problem = f"{path!r} is no path of a file, and SQLite's own options are not supported"
            raise ConfigError("CHASSIS_DATABASE_URL", problem, f"Write {SQLITE_PREFIX}var/service.db, or another path")
        return await _open_sqlite(root / path)
    if urlsplit(url).scheme == POSTGRES_SCHEME:
        return await _open_postgres(url)
    raise ConfigError(
        "CHASSIS_DATABASE_URL",
        f"the value begins with {url.partition(':')[0]!r}",
        f"Write {SQLITE_PREFIX}var/service.db, another path, or {POSTGRES_SCHEME}://user:password@host/name",
    )


async def _open_sqlite(path: Path) -> Database:
    try:
        return await SqliteDatabase.open(private_file(path))
    except (OSError, sqlite3.Error, DatabaseUnavailable) as error:
        problem = f"{path} cannot be opened ({error})"
        remedy = _remedy(error, "Name a file that this process can write")
        raise ConfigError("CHASSIS_DATABASE_URL", problem, remedy) from error


async def _open_postgres(url: str) -> Database:
    try:
        from chassis.store.postgres import PostgresDatabase
    except ModuleNotFoundError:
        remedy = "Run `uv add 'ai-service-chassis[postgres]'`"
        raise ConfigError("CHASSIS_DATABASE_URL", "the driver for PostgreSQL is not installed", remedy) from None
    try:
        return await PostgresDatabase.open(url)
    except (DatabaseUnavailable, ValueError) as error:
        problem = f"{_without_password(url)} cannot be opened ({_printable_reason(error)})"
        remedy = _remedy(error, "Start the server, or correct the URL")
        raise ConfigError("CHASSIS_DATABASE_URL", problem, remedy) from error


def _remedy(error: Exception, otherwise: str) -> str:
    needs_backup = isinstance(error, DatabaseUnavailable) and error.reason in NEEDS_BACKUP
    return "Restore a backup, or name another database" if needs_backup else otherwise


def _printable_reason(error: DatabaseUnavailable | ValueError) -> str:
    """Return what may be printed of an error. A parser's error may quote the password, so it is replaced."""
    if isinstance(error, ValueError):
        return "the URL cannot be parsed; in a password write %2F for /, %23 for #, %3A for :, %40 for @"
    return str(error.__cause__ or error)


def _without_password(url: str) -> str:
    """Return a URL without the parts that may be a password: before the last @, in the query, instead of a port."""
    location = url.partition("://")[2].rpartition("@")[2].partition("?")[0]
    return f"{POSTGRES_SCHEME}://{NOT_A_PORT.sub(r'\1', location)}"


def run_with_database[T](project: Project, work: Callable[[Database], Awaitable[T]]) -> T:
    """Open the project's database, return the result of `work`, and close the database again.

    Nothing else of the service is needed for that: no task, no model, no API key.

    Raises:
        ConfigError: `CHASSIS_DATABASE_URL` is invalid, or the database cannot be opened.
    """

    async def run() -> T:
        settings = load_settings(project.root)
        configure_logs(production=settings.production)
        database = await open_database(settings.database_url, project.root)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
