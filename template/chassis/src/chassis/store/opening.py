"""Opens the database that `DATABASE_URL` names."""

import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

from chassis.errors import ConfigError, StoreUnavailable
from chassis.store.database import Database
from chassis.store.sqlite import SqliteDatabase

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql"


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
    except (OSError, sqlite3.Error, StoreUnavailable) as error:
        raise ConfigError(
            "DATABASE_URL", f"{path} cannot be opened ({error})", "Name a file that can be written"
        ) from error


async def _open_server(url: str) -> Database:
    try:
        from chassis.store.postgres import PostgresDatabase
    except ModuleNotFoundError:
        raise ConfigError(
            "DATABASE_URL", "the driver for PostgreSQL is not installed", "Run `uv add 'chassis[postgres]'`"
        ) from None
    try:
        return await PostgresDatabase.open(url)
    except (StoreUnavailable, ValueError) as error:
        raise ConfigError(
            "DATABASE_URL",
            f"{_without_password(url)} cannot be opened ({error.__cause__ or error})",
            "Start the server, or name the one that is there",
        ) from error


def _without_password(url: str) -> str:
    """Return a URL that may be printed: a password can stand before the host and in the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
