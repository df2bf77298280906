"""Money: what is promised of holds and settlements, on a real database file."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chassis.budget import accounts_for
from chassis.errors import BudgetExhausted, ConfigError
from chassis.store.accounts import Account, Balance
from chassis.store.ledger import Ledger
from chassis.store.opening import open_database
from chassis.testing import constraints_for_tests
from chassis.types import show_usd

DAY = Account("day:2026-11-23", ceiling=100, retry_after=60)
MONTH = Account("month:2026-11", ceiling=150, retry_after=600)


@asynccontextmanager
async def ledger_in(folder: Path) -> AsyncGenerator[Ledger]:
    """Open a ledger in a folder."""
    database = await open_database("sqlite:///ledger.db", folder)
    try:
        yield Ledger(database)
    finally:
        await database.close()


def test_a_hold_counts_at_once_and_settles_to_what_was_spent(tmp_path: Path) -> None:
    """The worst case is taken first, and the difference comes back."""

    async def story() -> list[list[Balance]]:
        async with ledger_in(tmp_path) as ledger:
            hold = await ledger.hold([DAY, MONTH], 80)
            held = await ledger.balances()
            await ledger.settle(hold, 30)
            return [held, await ledger.balances()]

    held, settled = asyncio.run(story())

    assert held == [Balance("day:2026-11-23", 80, 0), Balance("month:2026-11", 80, 0)]
    assert settled == [Balance("day:2026-11-23", 0, 30), Balance("month:2026-11", 0, 30)]


def test_a_hold_that_does_not_fit_everywhere_is_made_nowhere(tmp_path: Path) -> None:
    """One full account refuses the request and leaves the others as they were."""

    async def story() -> list[Balance]:
        async with ledger_in(tmp_path) as ledger:
            await ledger.hold([DAY], 60)
            with pytest.raises(BudgetExhausted, match=r"'day' of \$0.00 has less than"):
                await ledger.hold([MONTH, DAY], 60)
            return await ledger.balances()

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 60, 0)]


def test_settling_twice_charges_once(tmp_path: Path) -> None:
    """A retried settlement changes nothing."""

    async def story() -> list[Balance]:
        async with ledger_in(tmp_path) as ledger:
            hold = await ledger.hold([DAY], 80)
            await ledger.settle(hold, 30)
            await ledger.settle(hold, 70)
            return await ledger.balances()

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 0, 30)]


def test_two_processes_on_one_file_never_overspend(tmp_path: Path) -> None:
    """Two databases on the same file see each other's holds: of 40 holds of 10, ten fit under 100."""

    async def spend(ledger: Ledger) -> bool:
        try:
            await ledger.hold([MONTH, DAY], 10)
        except BudgetExhausted:
            return False
        return True

    async def story() -> tuple[int, list[Balance]]:
        async with ledger_in(tmp_path) as one, ledger_in(tmp_path) as other:
            results = await asyncio.gather(*(spend(ledger) for _ in range(20) for ledger in (one, other)))
            return sum(results), await one.balances()

    assert asyncio.run(story()) == (10, [Balance("day:2026-11-23", 100, 0), Balance("month:2026-11", 100, 0)])


def test_a_lost_hold_stays_charged(tmp_path: Path) -> None:
    """A process that dies between hold and settlement makes the service too careful, never too generous."""

    async def story() -> list[Balance]:
        async with ledger_in(tmp_path) as ledger:
            await ledger.hold([DAY], 80)
        async with ledger_in(tmp_path) as reopened:
            with pytest.raises(BudgetExhausted):
                await reopened.hold([DAY], 21)
            return await reopened.balances()

    assert asyncio.run(story()) == [Balance("day:2026-11-23", 80, 0)]


def test_the_periods_are_utc_and_end_when_they_say() -> None:
    """A request on the last evening of a year counts against that day and month, and says when they end."""
    accounts = accounts_for("alice", constraints_for_tests(), datetime(2026, 12, 31, 23, 59, 0, tzinfo=UTC))

    assert [(account.key, account.retry_after) for account in accounts] == [
        ("caller-day:alice:2026-12-31", 60),
        ("day:2026-12-31", 60),
        ("month:2026-12", 60),
    ]


def test_a_database_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    """The variable, the value and what to write instead."""
    with pytest.raises(ConfigError, match=r"DATABASE_URL: the value begins with 'mysql'. Write sqlite:///var/s"):
        asyncio.run(open_database("mysql://x", tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be opened"):
        asyncio.run(open_database("sqlite:///file/x.db", tmp_path))


@pytest.mark.parametrize(
    ("amount", "shown"), [(0, "$0.00"), (125_000, "$0.000125"), (12_500_000_000, "$12.50"), (1, "$0.00")]
)
def test_money_is_shown_in_dollars(amount: int, shown: str) -> None:
    """At least cents, at most a millionth of a dollar."""
    assert show_usd(amount) == shown
