"""Reservations and settlements on a real SQLite file and a real PostgreSQL server."""

import asyncio
import gc
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from chassis.clock import now
from chassis.errors import BudgetExhausted, DatabaseUnavailable
from chassis.money import ledger as ledger_module
from chassis.money.accounts import Account, Balance, Reservation, accounts_for
from chassis.money.ledger import Ledger
from chassis.store.opening import open_database
from chassis.testing import constraints_for_tests
from chassis.usd import format_usd
from short_timeouts import short_timeouts

DAY = Account("day:2026-11-23", limit=100, retry_after=60)
MONTH = Account("month:2026-11", limit=150, retry_after=600)
MANY = [Account(f"caller-day:{name}:2026-11-23", limit=10_000, retry_after=60) for name in "abcdef"]


@asynccontextmanager
async def ledger_at(url: str) -> AsyncGenerator[Ledger]:
    """Open a ledger as a service does."""
    database = await open_database(url, Path())
    ledger = Ledger(database)
    try:
        yield ledger
    finally:
        await ledger.close()
        await database.close()


async def try_reserve(ledger: Ledger, accounts: list[Account], amount: int) -> Reservation | None:
    """Return a reservation, or None if the budget is exhausted."""
    try:
        return await ledger.reserve(accounts, amount)
    except BudgetExhausted:
        return None


def test_a_reservation_is_settled_to_what_was_spent(store_url: str) -> None:
    """The worst case is reserved first, and the difference is freed."""

    async def story() -> list[list[Balance]]:
        async with ledger_at(store_url) as ledger:
            reservation = await ledger.reserve([DAY, MONTH], 80)
            reserved = await ledger.balances()
            await ledger.settle(reservation, 30)
            return [reserved, await ledger.balances()]

    reserved, settled = asyncio.run(story())

    assert reserved == [Balance("day:2026-11-23", 80, 0), Balance("month:2026-11", 80, 0)]
    assert settled == [Balance("day:2026-11-23", 0, 30), Balance("month:2026-11", 0, 30)]


def test_a_reservation_is_made_on_all_accounts_or_none(store_url: str) -> None:
    """The error names the account without room, and the others do not change."""

    async def story() -> list[Balance]:
        async with ledger_at(store_url) as ledger:
            await ledger.reserve([DAY], 60)
            with pytest.raises(BudgetExhausted, match=r"'day' of \$0.00 has less than"):
                await ledger.reserve([MONTH, DAY], 60)
            return [balance for balance in await ledger.balances() if balance.reserved]

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 60, 0)]


def test_settling_twice_charges_once(store_url: str) -> None:
    """Further settlements change nothing, one after another or concurrently."""

    async def story() -> list[Balance]:
        async with ledger_at(store_url) as ledger:
            reservation = await ledger.reserve([DAY], 80)
            await asyncio.gather(*(ledger.settle(reservation, 30) for _ in range(10)))
            await ledger.settle(reservation, 70)
            return await ledger.balances()

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 0, 30)]


def spend_concurrently(url: str) -> tuple[int, list[Balance]]:
    """Make 96 concurrent requests from two replicas, over accounts in random order; return the sum and the balances."""

    async def spend(ledger: Ledger, chance: random.Random) -> int:
        accounts = chance.sample(MANY, k=4)
        reservation = await try_reserve(ledger, accounts, 999)
        if reservation is None:
            return 0
        await asyncio.sleep(chance.uniform(0, 0.002))
        await ledger.settle(reservation, 998)
        return 998 * len(accounts)

    async def story() -> tuple[int, list[Balance]]:
        async with ledger_at(url) as one, ledger_at(url) as other:
            chance = random.Random(1)  # noqa: S311 - the same shuffle each time
            spent = await asyncio.gather(*(spend(ledger, chance) for _ in range(48) for ledger in (one, other)))
            return sum(spent), await one.balances()

    return asyncio.run(story())


def test_96_concurrent_requests_neither_overspend_nor_deadlock(store_url: str) -> None:
    """Accounts are locked in the order of their keys, and checked once they are locked."""
    spent, balances = spend_concurrently(store_url)

    assert max(balance.spent for balance in balances) <= MANY[0].limit
    assert sum(balance.spent for balance in balances) == spent > 0
    assert [balance.reserved for balance in balances] == [0] * len(MANY)


@pytest.mark.parametrize(
    ("statement", "condition", "instead"),
    [
        pytest.param("SQLITE_RESERVE", "WHERE reserved + spent + $2 <= $3", "", id="sqlite-condition"),
        pytest.param(
            "POSTGRES_RESERVE",
            "accounts.reserved + accounts.spent + $2 <= wanted.max_total AS fits",
            "true AS fits",
            id="postgresql-condition",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "POSTGRES_RESERVE",
            'ORDER BY accounts.key COLLATE "C" FOR UPDATE OF accounts',
            "",
            id="postgresql-lock",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_requests_overspend_without_the_atomic_condition(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    condition: str,
    instead: str,
) -> None:
    """The test above fails as soon as the condition, or the lock that keeps it true, is removed."""
    sql: str = getattr(ledger_module, statement)
    assert condition in sql
    monkeypatch.setattr(ledger_module, statement, sql.replace(condition, instead))

    def fresh_url(attempt: int) -> str:
        if statement.startswith("SQLITE"):
            return f"sqlite:///{request.getfixturevalue('tmp_path')}/{attempt}.db"
        return request.getfixturevalue("postgres").fresh()

    def goes_wrong(attempt: int) -> bool:
        try:
            _, balances = spend_concurrently(fresh_url(attempt))
        except DatabaseUnavailable:
            return True  # without the lock, some of them deadlock before they can overspend
        return max(balance.spent for balance in balances) > MANY[0].limit

    # It takes luck to meet a race, so the requests get several chances.
    assert any(goes_wrong(attempt) for attempt in range(20))


def test_a_lost_reservation_stays_charged_until_it_is_released(store_url: str) -> None:
    """A process that dies before it settles makes the service too careful, until a person releases the money."""

    async def story() -> tuple[list[Reservation], list[Reservation], list[Balance]]:
        async with ledger_at(store_url) as ledger:
            reservation = await ledger.reserve([DAY, MONTH], 80)
        async with ledger_at(store_url) as reopened:
            with pytest.raises(BudgetExhausted):
                await reopened.reserve([DAY], 21)
            assert await reopened.open_reservations(reservation.opened_at) == []
            lost = await reopened.open_reservations(now() + timedelta(seconds=1))
            assert lost == [reservation]
            released = await reopened.release(now() + timedelta(seconds=1))
            assert await reopened.release(now() + timedelta(seconds=1)) == []
            return lost, released, await reopened.balances()

    lost, released, balances = asyncio.run(story())

    assert released == lost
    assert balances == [Balance("day:2026-11-23", 0, 0), Balance("month:2026-11", 0, 0)]


def test_a_settlement_after_a_release_is_charged(store_url: str) -> None:
    """The money was spent, even if the process was taken for dead."""

    async def story() -> list[Balance]:
        async with ledger_at(store_url) as ledger:
            reservation = await ledger.reserve([DAY], 80)
            await ledger.release(now() + timedelta(seconds=1))
            await ledger.settle(reservation, 30)
            await ledger.settle(reservation, 30)
            return await ledger.balances()

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 0, 30)]


def test_a_cancelled_reservation_is_given_back(store_url: str) -> None:
    """Wherever it is cancelled, nothing stays reserved."""

    async def story() -> list[Balance]:
        async with ledger_at(store_url) as ledger:
            await ledger.reserve([DAY], 0)
            for pause in range(20):
                caller = asyncio.create_task(ledger.reserve([DAY], 80))
                await asyncio.sleep(pause / 10_000)
                caller.cancel()
                [outcome] = await asyncio.gather(caller, return_exceptions=True)
                if isinstance(outcome, Reservation):
                    await ledger.settle(outcome, 0)
                await ledger.close()
            return await ledger.balances()

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 0, 0)]


def test_a_cancelled_settlement_is_completed(store_url: str) -> None:
    """A caller who disconnects while money is settled does not prevent it."""

    async def story() -> list[Balance]:
        async with ledger_at(store_url) as ledger:
            reservation = await ledger.reserve([DAY], 80)
            settling = asyncio.create_task(ledger.settle(reservation, 30))
            await asyncio.sleep(0)
            settling.cancel()
            await asyncio.gather(settling, return_exceptions=True)
            await ledger.close()
            return await ledger.balances()

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 0, 30)]


def test_a_settlement_after_midnight_charges_the_old_day(store_url: str) -> None:
    """A reservation belongs to the periods in which it was made."""
    constraints = constraints_for_tests()
    before, after = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)

    async def story() -> list[Balance]:
        async with ledger_at(store_url) as ledger:
            old = await ledger.reserve(accounts_for("alice", constraints, before), 80)
            new = await ledger.reserve(accounts_for("alice", constraints, after), 70)
            await ledger.settle(old, 8)
            await ledger.settle(new, 7)
            return await ledger.balances()

    assert [(balance.key, balance.reserved, balance.spent) for balance in asyncio.run(story())] == [
        ("caller-day:alice:2026-12-31", 0, 8),
        ("caller-day:alice:2027-01-01", 0, 7),
        ("day:2026-12-31", 0, 8),
        ("day:2027-01-01", 0, 7),
        ("month:2026-12", 0, 8),
        ("month:2027-01", 0, 7),
    ]


def test_replicas_with_different_clocks_keep_every_limit(store_url: str) -> None:
    """While it is tomorrow for one of them, each day and the month stay within their limits."""
    slow, fast = datetime(2026, 11, 23, 23, 59, 50, tzinfo=UTC), datetime(2026, 11, 24, 0, 0, 10, tzinfo=UTC)
    constraints = constraints_for_tests(cost={"per_day_usd": 1e-7, "per_month_usd": 1.5e-7})

    async def story() -> list[Balance]:
        async with ledger_at(store_url) as one, ledger_at(store_url) as other:
            calls = [
                try_reserve(ledger, accounts_for("alice", constraints, moment), 10)
                for _ in range(12)
                for ledger, moment in ((one, slow), (other, fast))
            ]
            await asyncio.gather(*calls)
            return [balance for balance in await one.balances() if not balance.key.startswith("caller")]

    yesterday, today, month = asyncio.run(story())

    assert (yesterday.key, today.key, month) == ("day:2026-11-23", "day:2026-11-24", Balance("month:2026-11", 150, 0))
    assert max(yesterday.reserved, today.reserved) <= 100
    assert yesterday.reserved + today.reserved == 150


def test_periods_are_utc_and_end_when_they_say() -> None:
    """On the last evening of a year a request counts against that day and month, and `retry_after` is their end."""
    accounts = accounts_for("alice", constraints_for_tests(), datetime(2026, 12, 31, 23, 59, 0, tzinfo=UTC))

    assert [(account.key, account.retry_after) for account in accounts] == [
        ("caller-day:alice:2026-12-31", 60),
        ("day:2026-12-31", 60),
        ("month:2026-12", 60),
    ]


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (125_000, "$0.000125"),
        (12_500_000_000, "$12.50"),
        (1, "$0.00"),
        (999_990_000_000, "$999.99"),
        (1_000_000_000_000, "$1,000.00"),
        (1_234_567_000_125_000, "$1,234,567.000125"),
    ],
)
def test_amounts_are_formatted_in_dollars(amount: int, shown: str) -> None:
    """With two to six decimals, and a comma at each thousand."""
    assert format_usd(amount) == shown


def test_no_error_is_left_unretrieved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing for asyncio to complain about if a reservation is cancelled at the moment at which it fails."""
    complaints: list[str] = []

    async def story(steps: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        failing = asyncio.Event()

        async def fail(*_: object) -> None:
            await failing.wait()
            raise DatabaseUnavailable("gone")

        async with ledger_at(f"sqlite:///{tmp_path}/store.db") as ledger:
            # The failure has to come at this moment.
            statements = ledger._statements  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            monkeypatch.setattr(statements, "reserve", fail)
            reserving = asyncio.create_task(ledger.reserve([DAY], 10))
            await asyncio.sleep(0)
            failing.set()
            for _ in range(steps):
                await asyncio.sleep(0)
            reserving.cancel()
            with pytest.raises((asyncio.CancelledError, DatabaseUnavailable)):
                await reserving
        del reserving
        gc.collect()

    with short_timeouts():
        for steps in range(6):
            asyncio.run(story(steps))

    assert complaints == []
