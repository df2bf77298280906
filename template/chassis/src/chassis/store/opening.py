"""Opens the database that `DATABASE_URL` names."""

import re
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

from chassis.errors import ConfigError, DatabaseUnavailable
from chassis.store.database import Database
from chassis.store.sqlite import SqliteDatabase

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql"
PORTLESS = re.compile(r"^([^:/]*):(?!\d{1,5}(?:/|$))[^/]*")
"""A host, and after its colon what is no port."""


async def open_database(url: str, root: Path) -> Database:
    """Open the database at `url`, create its tables if need be, and bring them up to date.

    Args:
        url: `sqlite:///path`, where a relative path starts at `root`, or `postgresql://user:password@host/name`.
        root: The project's folder.

    Raises:
        ConfigError: The URL is of another kind, or the database cannot be opened.
    """
    if url.startswith(SQLITE):
        return await _open_file(root / url.removeprefix(SQLITE))
    if urlsplit(url).scheme == POSTGRESQL:
        return await _open_server(url)
    raise ConfigError(
        "DATABASE_URL",
        f"the value begins with {url.partition(':')[0]!r}",
        f"Write {SQLITE}var/service.db, another path, or {POSTGRESQL}://user:password@host/name",
    )


async def _open_file(path: Path) -> Database:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return await SqliteDatabase.open(path)
    except (OSError, sqlite3.Error, DatabaseUnavailable) as error:
        raise ConfigError(
            "DATABASE_URL", f"{path} cannot be opened ({error})", "Name a file that can be written"
        ) from error


async def _open_server(url: str) -> Database:
    try:
        from chassis.store.postgres import PostgresDatabase
    except ModuleNotFoundError:
        raise ConfigError(
            "DATABASE_URL", "the driver for PostgreSQL is not installed", "Run `uv add 'ai-service-chassis[postgres]'`"
        ) from None
    try:
        return await PostgresDatabase.open(url)
    except (DatabaseUnavailable, ValueError) as error:
        raise ConfigError(
            "DATABASE_URL",
            f"{_without_password(url)} cannot be opened ({_reason(error)})",
            "Start the server, or name the one that is there",
        ) from error


def _reason(error: DatabaseUnavailable | ValueError) -> str:
    """Return what may be printed of an error: about a URL that cannot be read, it quotes what may be the password."""
    if isinstance(error, ValueError):
        return "it is no URL that the driver can read; in a password write %2F for /, %23 for #, %3A for :, %40 for @"
    return str(error.__cause__ or error)


def _without_password(url: str) -> str:
    """Return a URL that may be printed: a password can stand before the last @, in the query, or at the port."""
    place = url.partition("://")[2].rpartition("@")[2].partition("?")[0]
    return f"{POSTGRESQL}://{PORTLESS.sub(r'\1', place)}"
