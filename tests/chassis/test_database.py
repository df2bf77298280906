"""The database: SQLite and PostgreSQL behave alike, and each failure is reported by name."""

import asyncio
import os
import signal
import sqlite3
import time
from pathlib import Path

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import pytest
from chassis.contract import FallbackReason
from chassis.errors import ConfigError, DatabaseUnavailable
from chassis.money.accounts import Account, Balance
from chassis.money.ledger import RETRY_SECONDS, Ledger
from chassis.store.credentials import ApiKeys
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Database
from chassis.store.opening import open_database
from chassis.store.postgres import _Session, driver  # pyright: ignore[reportPrivateUsage]
from chassis.store.reply_cache import ReplyCache
from chassis.store.review_queue import ReviewQueue
from chassis.store.reviews import Reviews
from database_story import run_with_database
from postgres_server import Server, started_server
from telemetry_sinks import Lines

DAY = Account("day:2026-11-23", limit=100, retry_after=60)
SLACK_SECONDS = 10.0
"""How much longer than its timeout something may take on a busy machine."""


def test_a_transaction_is_all_or_nothing(store_url: str) -> None:
    """An error undoes every statement before it."""

    async def story(database: Database) -> int:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO accounts (key, reserved, spent) VALUES ($1, 0, 0)", "kept")

        async def fail() -> None:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO accounts (key, reserved, spent) VALUES ($1, 0, 0)", "lost")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        return await database.execute("UPDATE accounts SET reserved = 1")

    assert run_with_database(store_url, story) == 1


def test_a_mistake_in_a_statement_is_not_an_unavailable_database(store_url: str) -> None:
    """Bugs are never hidden behind `DatabaseUnavailable`."""

    async def story(database: Database) -> None:
        await database.fetch("SELECT 1 nonsense nonsense")

    with pytest.raises((sqlite3.OperationalError, asyncpg.PostgresSyntaxError), match="nonsense"):
        run_with_database(store_url, story)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE referrals RENAME TO elsewhere",
        "DROP TABLE referrals",
        "ALTER TABLE referrals RENAME COLUMN task TO elsewhere",
        "ALTER TABLE referrals RENAME COLUMN due_at TO elsewhere",
    ],
)
def test_a_changed_table_is_an_unavailable_database(store_url: str, change: str) -> None:
    """Reading, writing and counting end with the same error, as with another database than the service's own."""

    async def story(database: Database) -> None:
        await database.execute(change)
        with pytest.raises(DatabaseUnavailable, match="The database is missing a table or a column"):
            await database.fetch("SELECT task, due_at FROM referrals")
        with pytest.raises(DatabaseUnavailable, match="The database is missing a table or a column"):
            await database.execute("INSERT INTO referrals (id, task, due_at) VALUES ('r', 't', '')")
        with pytest.raises(DatabaseUnavailable, match="The database is missing a table or a column"):
            async with database.transaction() as tx:
                await tx.execute("UPDATE referrals SET task = 't', due_at = ''")

    run_with_database(store_url, story)


def test_a_database_without_its_table_of_migrations_is_explained(store_url: str) -> None:
    """The migrations cannot be applied to the tables that are there."""

    async def story(database: Database) -> None:
        await database.execute("ALTER TABLE migrations RENAME TO elsewhere")
        with pytest.raises(ConfigError, match=r"cannot be opened \(.*\)\. Restore a backup, or name another database"):
            await open_database(store_url, Path())

    run_with_database(store_url, story)


def test_migrations_are_applied_once(store_url: str) -> None:
    """Eight replicas open an empty database at the same time, and every migration is applied exactly once."""

    async def story() -> list[str]:
        databases = await asyncio.gather(*(open_database(store_url, Path()) for _ in range(8)))
        rows = await databases[0].fetch("SELECT name FROM migrations ORDER BY name")
        for database in databases:
            await database.close()
        return [row["name"] for row in rows]

    assert asyncio.run(story()) == ["0001_start.sql"]


def test_keys_referrals_and_replies_are_stored(store_url: str) -> None:
    """What outlives the process behaves the same on both databases."""

    async def story(database: Database) -> None:
        keys, queue, replies = (
            ApiKeys(database),
            ReviewQueue(database, due_hours=8),
            ReplyCache(database, ttl_seconds=60),
        )
        key = await keys.create("alice")
        assert await keys.find_caller(key) == "alice"
        [listed] = await keys.list_keys()
        assert await keys.revoke(listed.id)
        assert not await keys.revoke(listed.id)
        assert await keys.find_caller(key) is None

        ticket = await queue.refer("echo", "alice", "c_1", FallbackReason.LOW_CONFIDENCE, '{"text": "why?"}', None)
        [waiting] = await queue.open_referrals()
        assert (waiting.id, waiting.question, waiting.draft) == (ticket.referral_id, {"text": "why?"}, None)
        await Reviews(database).answer(ticket.referral_id, '{"text": "so"}', "bob")
        answered = await queue.find(ticket.referral_id)
        assert answered
        assert (answered.answer, answered.answered_by, answered.verdict) == ({"text": "so"}, "bob", "fail")
        assert await queue.open_referrals() == []

        await replies.store("k", "gpt", "one")
        await replies.store("k", "gpt", "two")
        assert await replies.find("k") == ("gpt", "two")
        assert await replies.find("other") is None

    run_with_database(store_url, story)


def test_columns_of_a_later_release_are_ignored(store_url: str) -> None:
    """During a rolling update, a replica of the old release reads what the new one has migrated."""

    async def story(database: Database) -> None:
        keys, queue = ApiKeys(database), ReviewQueue(database, due_hours=8)
        for table in ("referrals", "api_keys", "replies", "accounts", "reservations"):
            await database.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT")
        ledger, cache = Ledger(database), ReplyCache(database, ttl_seconds=60)
        ticket = await queue.refer("echo", "alice", "c_1", FallbackReason.LOW_CONFIDENCE, "{}", None)
        assert [each.id for each in await queue.open_referrals()] == [ticket.referral_id]
        assert await keys.find_caller(await keys.create("alice")) == "alice"
        assert [each.caller for each in await keys.list_keys()] == ["alice"]
        await cache.store("k", "gpt", "one")
        assert await cache.find("k") == ("gpt", "one")
        await ledger.settle(await ledger.reserve([DAY], 10), 5)
        assert await ledger.balances() == [Balance(DAY.key, 0, 5)]

    run_with_database(store_url, story)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://x", r"DATABASE_URL: the value begins with 'mysql'. Write sqlite:///var/service.db, another path, or"),
        ("sqlite:///file/x.db", "cannot be opened"),
        ("sqlite:///none", r"none cannot be opened \(The database is damaged\). Restore a backup, or"),
        ("postgresql://me:secret@/db?host=/nowhere", r"postgresql:///db cannot be opened \(.*\). Start the server, or"),
        (
            "postgresql://me:1/secret@host/db",
            r"postgresql://host/db cannot be opened",
        ),
        ("postgresql://me:secret#1@host/db", r"postgresql://host/db cannot be opened \(the URL cannot be parsed"),
        ("postgresql://me:secret/db", r"postgresql://me/db cannot be opened \(the URL cannot be parsed"),
    ],
)
def test_a_database_that_cannot_be_opened_is_explained(tmp_path: Path, url: str, sentence: str) -> None:
    """The error names the variable, the problem and the remedy, and never a password."""
    (tmp_path / "file").touch()
    (tmp_path / "none").write_text("no database, but text that is long enough to be read as the head of one " * 10)

    with pytest.raises(ConfigError, match=sentence) as refusal:
        asyncio.run(open_database(url, tmp_path))

    assert "secret" not in str(refusal.value)


async def refusal_of(ledger: Ledger) -> tuple[str, float]:
    """Return why nothing can be reserved, and how many seconds the error took."""
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable) as refusal:
        await ledger.reserve([DAY], 10)
    return refusal.value.reason, time.monotonic() - started


def test_a_locked_file_is_reported_and_blocks_no_reader(tmp_path: Path) -> None:
    """While another process has locked the file, reserving fails after the timeout, and reading works."""

    async def story(database: Database) -> tuple[tuple[str, float], int, list[Balance]]:
        ledger = Ledger(database)
        other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        reserving = asyncio.create_task(refusal_of(ledger))
        reads = 0
        while not reserving.done():
            await ledger.balances()
            await asyncio.sleep(0.01)
            reads += 1
        other.execute("ROLLBACK")
        await ledger.reserve([DAY], 10)
        other.close()
        return reserving.result(), reads, await ledger.balances()

    (reason, seconds), reads, balances = run_with_database(f"sqlite:///{tmp_path}/x.db", story)

    assert reason == "locked by another process"
    assert LOCK_TIMEOUT_SECONDS <= seconds < LOCK_TIMEOUT_SECONDS + SLACK_SECONDS
    assert reads > 50
    assert balances == [Balance(DAY.key, 10, 0)]


def test_a_full_file_is_reported(tmp_path: Path) -> None:
    """There is no room for one more page. A full disk causes the same error."""

    async def story(database: Database) -> tuple[str, float]:
        [pages] = (await database.fetch("PRAGMA page_count"))[0].values()
        await database.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(100):
            await database.execute("INSERT INTO accounts (key, reserved, spent) VALUES ($1, 0, 0)", f"{number:0300}")
        raise AssertionError

    with pytest.raises(DatabaseUnavailable, match="The database is full"):
        run_with_database(f"sqlite:///{tmp_path}/x.db", story)


def test_a_deleted_file_is_not_written_to(tmp_path: Path) -> None:
    """SQLite would write into the deleted file, and the next process would start with a fresh budget."""

    async def story(database: Database) -> tuple[str, float]:
        (tmp_path / "x.db").unlink()
        return await refusal_of(Ledger(database))

    reason, seconds = run_with_database(f"sqlite:///{tmp_path}/x.db", story)

    assert reason == "gone"
    assert seconds < SLACK_SECONDS


@pytest.mark.slow
def test_a_locked_account_is_reported(postgres: Server) -> None:
    """While another transaction has locked the accounts, reserving fails after the timeout."""
    url = postgres.fresh()

    async def story(database: Database) -> tuple[str, float]:
        ledger = Ledger(database)
        await ledger.reserve([DAY], 10)
        async with database.transaction() as tx:
            await tx.execute("UPDATE accounts SET spent = spent")
            return await refusal_of(ledger)

    reason, seconds = run_with_database(url, story)

    assert reason == "too slow"
    assert LOCK_TIMEOUT_SECONDS <= seconds < LOCK_TIMEOUT_SECONDS + SLACK_SECONDS


@pytest.mark.slow
def test_a_full_server_is_reported(postgres: Server) -> None:
    """A full disk; the class of errors also covers too many connections."""
    url = postgres.fresh()

    async def story(database: Database) -> None:
        await database.execute("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$")

    with pytest.raises(DatabaseUnavailable, match="The database is full"):
        run_with_database(url, story)


def children_of(process: int) -> list[int]:
    """Return the ids of the processes of a server's sessions."""
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
def test_a_settlement_waits_for_a_frozen_server() -> None:
    """While the server is frozen nothing can be reserved. An earlier reservation is settled once it continues."""
    with started_server() as server:
        url = server.fresh()

        async def story(database: Database) -> tuple[tuple[str, float], list[Balance]]:
            assert server.process is not None
            ledger = Ledger(database)
            reservation = await ledger.reserve([DAY], 30)
            server.process.send_signal(signal.SIGSTOP)
            for child in children_of(server.process.pid):
                os.kill(child, signal.SIGSTOP)
            frozen = await refusal_of(ledger)
            await ledger.settle(reservation, 5)
            for child in children_of(server.process.pid):
                os.kill(child, signal.SIGCONT)
            server.process.send_signal(signal.SIGCONT)
            settled, give_up_at = [Balance(DAY.key, 0, 5)], time.monotonic() + sum(RETRY_SECONDS) + LOCK_TIMEOUT_SECONDS
            while await ledger.balances() != settled and time.monotonic() < give_up_at:  # noqa: ASYNC110 - from outside
                await asyncio.sleep(0.05)
            return frozen, await ledger.balances()

        (reason, seconds), balances = run_with_database(url, story)

    assert reason == "too slow"
    assert seconds < 2 * LOCK_TIMEOUT_SECONDS + SLACK_SECONDS
    assert balances == [Balance(DAY.key, 0, 5)]


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
def test_a_reservation_that_cannot_be_settled_is_logged(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller still gets the answer. The reservation stays charged, and the log names it."""
    monkeypatch.setattr("chassis.money.ledger.RETRY_SECONDS", (0.01,))
    with started_server() as server:
        url = server.fresh()

        async def story(database: Database) -> str:
            assert server.process is not None
            ledger = Ledger(database)
            reservation = await ledger.reserve([DAY], 30)
            server.process.send_signal(signal.SIGQUIT)
            server.process.wait()
            reason, seconds = await refusal_of(ledger)
            assert seconds < SLACK_SECONDS
            await ledger.settle(reservation, 5)
            await ledger.close()
            [line] = lines.named("reservation.lost")
            assert line["reservation_id"] == reservation.id
            return reason

        assert run_with_database(url, story) == "gone"


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "&statement_cache_size=0",
        "&pgbouncer=true&connection_limit=1",
        "&channel_binding=prefer&prepareThreshold=0",
        "&connect_timeout=10&application_name=assistant",
    ],
)
def test_a_connection_pooler_may_stand_between(postgres: Server, parameters: str) -> None:
    """PgBouncer in transaction mode runs each transaction in another session, so nothing may depend on a session.

    Hosts of PostgreSQL hand out URLs with parameters for other drivers.
    """

    async def story(database: Database) -> tuple[list[Balance], int]:
        ledger, keys = Ledger(database), ApiKeys(database)
        for _ in range(3):
            reservation = await ledger.reserve([DAY], 10)
            await database.execute("DISCARD ALL")  # as if the next transaction ran in a session of its own
            await ledger.settle(reservation, 5)
            await ledger.close()
        assert await keys.find_caller(await keys.create("alice")) == "alice"
        named = await database.fetch("SELECT name FROM pg_prepared_statements WHERE name <> ''")
        return await ledger.balances(), len(named)

    assert run_with_database(postgres.fresh() + parameters, story) == ([Balance(DAY.key, 0, 15)], 0)


@pytest.mark.slow
def test_sessions_that_the_server_ends_are_reported_as_gone(postgres: Server) -> None:
    """A restart, a failover or an administrator ends all sessions in any state. What is reserved is still settled."""
    url = postgres.fresh()

    async def end_sessions(stop: asyncio.Event) -> None:
        admin = await driver.connect(postgres.url)
        while not stop.is_set():
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                url.rpartition("/")[2].partition("?")[0],
            )
            await asyncio.sleep(0.02)
        await admin.close()

    async def story(database: Database) -> tuple[set[str], int, list[Balance]]:
        account = Account("day:2026-11-24", limit=10**9, retry_after=60)
        ledger, stop, reasons, settled = Ledger(database), asyncio.Event(), set[str](), 0
        give_up_at = time.monotonic() + 3

        async def spend() -> None:
            nonlocal settled
            while time.monotonic() < give_up_at:
                try:
                    reservation = await ledger.reserve([account], 1)
                except DatabaseUnavailable as error:
                    reasons.add(error.reason)
                else:
                    await ledger.settle(reservation, 1)
                    settled += 1

        ending = asyncio.create_task(end_sessions(stop))
        await asyncio.gather(*(spend() for _ in range(6)))
        stop.set()
        await ending
        await asyncio.sleep(sum(RETRY_SECONDS[:-1]) + 0.5)
        return reasons, settled, await ledger.balances()

    reasons, settled, balances = run_with_database(url, story)

    assert reasons <= {"gone"}
    assert settled
    assert balances == [Balance("day:2026-11-24", 0, settled)]


class Scripted:
    """Stands for a connection of asyncpg, whose next statement fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def prepare(self, *_: object, **__: object) -> None:
        """Fail."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (asyncpg.InternalClientError("got result for unknown protocol state 0"), "gone"),
        (asyncpg.ProtocolError("unexpected message"), "gone"),
        (asyncpg.InterfaceError("connection is closed"), "gone"),
        (asyncpg.ConnectionDoesNotExistError("closed in the middle of an operation"), "gone"),
        (asyncpg.AdminShutdownError("terminating connection"), "gone"),
        (asyncpg.InvalidSQLStatementNameError("a pooler switched sessions"), "gone"),
        (asyncpg.ProtocolViolationError("server login failed"), "gone"),
        (asyncio.IncompleteReadError(b"", 5), "gone"),
        (ConnectionResetError("reset by peer"), "gone"),
        (asyncpg.TooManyConnectionsError("no more"), "full"),
        (asyncpg.InsufficientPrivilegeError("permission denied"), "read-only"),
        (asyncpg.ReadOnlySQLTransactionError("a replica"), "read-only"),
    ],
)
def test_errors_of_the_driver_are_named(error: Exception, reason: str) -> None:
    """Whatever the driver raises for a lost connection, the database is unavailable."""
    with pytest.raises(DatabaseUnavailable) as refusal:
        asyncio.run(_Session(Scripted(error)).fetch("SELECT 1"))

    assert refusal.value.reason == reason
