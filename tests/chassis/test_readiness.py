"""Readiness and the metric of the database fail whenever the service cannot write, not only when it cannot connect."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import pytest
from chassis.errors import DatabaseUnavailable
from chassis.gauges import GaugeSources, refresh_gauges
from chassis.store.database import Database, check_writable
from chassis.store.opening import open_database
from live_server import LiveService, serve_sample
from postgres_server import Server


def lock(_service: LiveService, file: Path) -> Callable[[], None]:
    """Have another process lock the file. Return what undoes it."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return other.close


def make_read_only(service: LiveService, _file: Path) -> Callable[[], None]:
    """Forbid writing, as a file system that was mounted again after an error does."""
    service.run(service.wiring.database.execute("PRAGMA query_only = 1"))
    return lambda: None


def fill(service: LiveService, _file: Path) -> Callable[[], None]:
    """Leave no room in the file."""

    async def grow() -> None:
        database = service.wiring.database
        [pages] = (await database.fetch("PRAGMA page_count"))[0].values()
        await database.execute(f"PRAGMA max_page_count = {pages}")
        with contextlib.suppress(DatabaseUnavailable):
            for number in range(1000):
                await database.execute("INSERT INTO reservations VALUES ($1, '', 0, '')", f"{number:0200}")

    service.run(grow())
    return lambda: None


def delete(_service: LiveService, file: Path) -> Callable[[], None]:
    """Delete the file."""
    file.unlink()
    return lambda: None


def drop_a_table(_service: LiveService, file: Path) -> Callable[[], None]:
    """Restore something that is not a database of this service."""
    with sqlite3.connect(file) as other:
        other.execute("DROP TABLE accounts")
    return other.close


@pytest.mark.parametrize("harm", [lock, make_read_only, fill, delete, drop_a_table])
def test_a_database_that_cannot_be_written_is_not_ready(
    tmp_path: Path, harm: Callable[[LiveService, Path], Callable[[], None]]
) -> None:
    """`/readyz` answers 503 and the metric is 0 as soon as no question could be sent to a model."""
    with serve_sample(tmp_path) as service:
        wiring = service.wiring

        def database_up() -> str:
            sources = GaugeSources(wiring.database, wiring.ledger, wiring.review_queue, wiring.kill_switch)
            service.run(refresh_gauges(sources, wiring.constraints, wiring.telemetry.instruments))
            page = service.client.get("/metrics").text
            return next(line.split()[-1] for line in page.splitlines() if line.startswith("chassis_database_up"))

        before = service.client.get("/readyz").status_code, database_up()
        undo = harm(service, tmp_path / "service.db")
        after = service.client.get("/readyz").status_code, database_up()
        alive = service.client.get("/healthz").status_code
        undo()

    assert (before, after, alive) == ((200, "1.0"), (503, "0.0"), 200)


@pytest.mark.parametrize(
    ("table", "path", "body"),
    [
        ("referrals", "/v1/echo", {"text": "why?"}),
        ("referrals", "/v1/referrals/r_0", None),
        ("api_keys", "/v1/echo", {"text": "hello"}),
    ],
)
def test_a_missing_table_is_an_unavailable_database(
    tmp_path: Path, table: str, path: str, body: dict[str, str] | None
) -> None:
    """Programs that call are told to try again later, as for any other database that cannot be used."""
    with serve_sample(tmp_path) as service:
        with contextlib.closing(sqlite3.connect(tmp_path / "service.db")) as other:
            other.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        key = {"Authorization": f"Bearer {service.key}"}
        response = service.client.request("POST" if body else "GET", path, json=body, headers=key)

    assert (response.status_code, response.json()["type"]) == (503, "/problems/database-unavailable")


def test_a_check_leaves_nothing_behind(store_url: str) -> None:
    """Many checks at the same time do not block each other, and their rows are gone."""

    async def story() -> int:
        database = await open_database(store_url, Path())
        await asyncio.gather(*(check_writable(database) for _ in range(20)))
        rows = await database.fetch("SELECT * FROM reservations")
        await database.close()
        return len(rows)

    assert asyncio.run(story()) == 0


driver: Any = asyncpg


async def set_read_only(url: str) -> None:
    """Make new sessions read-only, as on a replica."""
    admin = await driver.connect(url)
    await admin.execute(f"ALTER DATABASE {await admin.fetchval('SELECT current_database()')} SET "
                        "default_transaction_read_only = on")  # fmt: skip
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                        " AND datname = current_database()")  # fmt: skip
    await admin.close()


async def drop_table(url: str) -> None:
    """Lose a table."""
    admin = await driver.connect(url)
    await admin.execute("ALTER TABLE reservations RENAME TO elsewhere")
    await admin.close()


@pytest.mark.slow
@pytest.mark.parametrize("harm", [set_read_only, drop_table])
def test_a_server_that_cannot_be_written_is_noticed(postgres: Server, harm: Callable[[str], Awaitable[None]]) -> None:
    """A replica after a failover, or another database than the service's own."""
    url = postgres.fresh()

    async def story() -> None:
        database: Database = await open_database(url, Path())
        await check_writable(database)
        await harm(url)
        await asyncio.sleep(0.1)
        with pytest.raises(DatabaseUnavailable):
            await check_writable(database)
        await database.close()

    asyncio.run(story())
