"""The connections to PostgreSQL: how many there are, what they keep, and what becomes of one that is interrupted."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import chassis
import pytest
from chassis.errors import DatabaseUnavailable
from chassis.money.accounts import Account, Balance
from chassis.money.ledger import Ledger
from chassis.store.database import Database
from chassis.store.postgres import MAX_CONNECTIONS, driver
from database_story import run_with_database
from postgres_server import Server

pytestmark = pytest.mark.slow
SESSIONS = "SELECT state, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
DAY = Account("day:2026-11-23", limit=10**9, retry_after=60)


async def until(condition: Any) -> None:
    """Wait for the server."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - what changes is in another process
            await asyncio.sleep(0.01)


def test_a_statement_is_described_once(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on it takes one round trip, on each connection."""
    described: Counter[str] = Counter()
    prepare = driver.Connection.prepare

    async def counted(connection: Any, sql: str, **options: Any) -> Any:
        described[sql] += 1
        return await prepare(connection, sql, **options)

    monkeypatch.setattr(driver.Connection, "prepare", counted)

    async def story(database: Database) -> list[Balance]:
        ledger = Ledger(database)
        for _ in range(3):
            await ledger.settle(await ledger.reserve([DAY], 10), 5)
        return await ledger.balances()

    assert run_with_database(postgres.fresh(), story) == [Balance(DAY.key, 0, 15)]
    assert {times for sql, times in described.items() if "reservations" in sql} == {1}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM accounts",
        "SELECT *, 1 AS one FROM accounts",
        "SELECT key, spent FROM accounts",
        "UPDATE accounts SET spent = spent RETURNING key, spent",
    ],
)
def test_a_column_that_is_added_meanwhile_changes_nothing(postgres: Server, sql: str) -> None:
    """A replica of the next release migrates while this one runs, with statements that it has described before."""

    async def story(database: Database) -> None:
        await database.execute("INSERT INTO accounts (key, reserved, spent) VALUES ($1, 0, 7)", "day")
        for column in ("later", "latest"):
            [row] = await database.fetch(sql)
            assert (row["key"], row["spent"]) == ("day", 7)
            await database.execute(f"ALTER TABLE accounts ADD COLUMN {column} TEXT")
        [row] = await database.fetch(sql)
        assert row["spent"] == 7

    run_with_database(postgres.fresh(), story)


def test_no_statement_of_the_package_hides_its_columns() -> None:
    """`SELECT *` is described anew each time; any other way to ask for all columns is not recognized."""
    for file in Path(str(chassis.__file__)).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "RETURNING *" not in text, file
        assert ".* FROM" not in text, file


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_statement_whose_caller_is_gone_is_stopped(postgres: Server, *, in_transaction: bool) -> None:
    """The server stops it, and the next caller finds a connection that works."""
    url = postgres.fresh()

    async def story(database: Database) -> None:
        async def sleep() -> None:
            if in_transaction:
                async with database.transaction() as tx:
                    await tx.fetch("SELECT pg_sleep(600)")
            else:
                await database.fetch("SELECT pg_sleep(600)")

        async def sleeping() -> bool:
            return any(
                "pg_sleep" in row["query"] and row["state"] == "active" for row in await database.fetch(SESSIONS)
            )

        caller = asyncio.create_task(sleep())
        await until(sleeping)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert not await sleeping()
        assert [row["one"] for row in await database.fetch("SELECT 1 AS one")] == [1]

    run_with_database(url, story)


def test_a_mistake_costs_no_connection(postgres: Server) -> None:
    """After an error of the server, also within a transaction, the same connection is used again."""

    async def story(database: Database) -> None:
        async def process() -> int:
            return (await database.fetch("SELECT pg_backend_pid() AS id"))[0]["id"]

        async def fail_in_transaction() -> None:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO accounts (key, reserved, spent) VALUES ($1, 0, 0)", "lost")
                await tx.fetch("SELECT 1 / 0")

        first = await process()
        for mistake in (database.fetch("SELECT 1 / 0"), database.execute("nonsense"), fail_in_transaction()):
            with pytest.raises(driver.PostgresError):
                await mistake
            assert await process() == first
        assert await database.fetch("SELECT key FROM accounts") == []

    run_with_database(postgres.fresh(), story)


def test_connections_are_few_and_kept(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred statements at once share them. None is used again after it was idle for too long."""

    async def story(database: Database) -> None:
        async def open_connections() -> int:
            return len(await database.fetch(SESSIONS)) + 1

        results = await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.01), $1 AS n", str(n)) for n in range(100)))
        assert [row["n"] for [row] in results] == [str(n) for n in range(100)]
        assert await open_connections() == MAX_CONNECTIONS

        monkeypatch.setattr("chassis.store.postgres.MAX_IDLE_SECONDS", 0)

        async def one_is_open() -> bool:
            return await open_connections() == 1

        await until(one_is_open)

    run_with_database(postgres.fresh(), story)


def test_after_the_last_connection_others_wait_and_then_give_up(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting is bounded, and who gave up leaves nothing behind."""

    async def story(database: Database) -> None:
        async with asyncio.TaskGroup() as holders:
            held, enough = asyncio.Semaphore(0), asyncio.Event()

            async def hold() -> None:
                async with database.transaction():
                    held.release()
                    await enough.wait()

            monkeypatch.setattr("chassis.store.postgres.LOCK_TIMEOUT_SECONDS", 60)
            for _ in range(MAX_CONNECTIONS):
                holders.create_task(hold())
            for _ in range(MAX_CONNECTIONS):
                await held.acquire()
            monkeypatch.setattr("chassis.store.postgres.LOCK_TIMEOUT_SECONDS", 0.05)
            for _ in range(3):
                with pytest.raises(DatabaseUnavailable, match="too slow"):
                    await database.fetch("SELECT 1")
            monkeypatch.setattr("chassis.store.postgres.LOCK_TIMEOUT_SECONDS", 60)
            enough.set()
        assert (
            len(await asyncio.gather(*(database.fetch("SELECT 1") for _ in range(MAX_CONNECTIONS)))) == MAX_CONNECTIONS
        )

    run_with_database(postgres.fresh(), story)


def test_a_closed_database_is_gone(postgres: Server) -> None:
    """Its connections are closed, and statements after that are errors at once."""
    url = postgres.fresh()

    async def story(database: Database) -> None:
        await asyncio.gather(*(database.fetch("SELECT 1") for _ in range(3)))
        await database.close()
        with pytest.raises(DatabaseUnavailable, match="gone"):
            await database.fetch("SELECT 1")
        admin = await driver.connect(url)

        async def alone() -> bool:
            return not await admin.fetch(SESSIONS)

        await until(alone)
        await admin.close()

    run_with_database(url, story)
