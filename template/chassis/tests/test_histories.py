"""Every history of money that Hypothesis can think of, on a real file and on a real server.

`LEDGER_HISTORIES` says how many for each database: a thousand in `make test`, ten thousand in `make histories`.
"""

import asyncio
import os
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from postgres_server import Server

from chassis.errors import BudgetExhausted
from chassis.money import statements as tills
from chassis.money.accounts import Reservation, accounts_for
from chassis.money.ledger import Ledger
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.testing import constraints_for_tests

QUICK, SLOW = 25, 1_000
STEPS = 20
REPLICAS = 3
CONSTRAINTS = constraints_for_tests(
    cost={"per_caller_day_usd": 50e-9, "per_day_usd": 80e-9, "per_month_usd": 200e-9, "per_request_usd": 1}
)
"""Ceilings of 50, 80 and 200 nano-dollars, so that they are reached within a few steps."""
START = datetime.fromisoformat("2026-11-29T12:00:00+00:00")
LONG = timedelta(hours=1)
"""Older than this is lost."""
histories = count()


@dataclass
class Expected:
    """What one account must stand at."""

    ceiling: int
    reserved: int = 0
    spent: int = 0


@dataclass
class Replica:
    """One process: its ledger, how wrong its clock is, and what it has under way."""

    ledger: Ledger
    skew: timedelta
    now: datetime = START
    reservations: list[Reservation] = field(default_factory=list)

    def clock(self) -> datetime:
        """Return the time of day as this process has it."""
        return self.now + self.skew


class History(RuleBasedStateMachine):
    """A model of three replicas and their accounts; after each step the database must stand as the model does."""

    database: Database
    runner: "asyncio.Runner"

    def __init__(self) -> None:
        super().__init__()
        self.name = next(histories)
        self.accounts: dict[str, Expected] = {}
        self.lost: list[Reservation] = []
        self.settled: list[tuple[Reservation, int]] = []
        self.crashed = False
        self.replicas = [self._replica(place) for place in range(REPLICAS)]

    def _replica(self, place: int) -> Replica:
        replica = Replica(Ledger(self.database), timedelta(seconds=20 * (place - 1)))
        replica.ledger = Ledger(self.database, replica.clock)
        return replica

    def _caller(self, name: str) -> str:
        return f"{name}-{self.name}"

    def _run(self, work: Any) -> Any:
        return self.runner.run(work)

    replicas_by_place = st.integers(0, REPLICAS - 1)
    amounts = st.integers(0, 60)
    parts = st.floats(0, 1)

    @rule(place=replicas_by_place, caller=st.sampled_from("ab"), amount=amounts, hang_up=st.booleans())
    def reservation(self, place: int, caller: str, amount: int, hang_up: bool) -> None:  # noqa: FBT001 - Hypothesis chooses
        """Hold; the model knows whether it fits. Some callers hang up before they hear."""
        replica = self.replicas[place]
        wanted = self._wanted(caller, replica.clock())
        known = {account.key: self.accounts.get(account.key, Expected(account.limit)) for account in wanted}
        fits = all(each.reserved + each.spent + amount <= each.ceiling for each in known.values())
        if hang_up:
            self._run(hung_up(replica.ledger, wanted, amount))
            return
        try:
            reservation = self._run(replica.ledger.reserve(wanted, amount))
        except BudgetExhausted:
            assert not fits
            return
        assert fits
        replica.reservations.append(reservation)
        self.accounts |= known
        for each in known.values():
            each.reserved += amount

    def _wanted(self, caller: str, moment: datetime) -> list[Any]:
        """Return the accounts, with names of this history's own: the database is shared by all of them."""
        return [
            type(account)(f"{account.key}:{self.name}", account.limit, account.retry_after)
            for account in accounts_for(caller, CONSTRAINTS, moment)
        ]

    @precondition(lambda self: any(replica.reservations for replica in self.replicas))
    @rule(data=st.data(), part=parts)
    def settle(self, data: st.DataObject, part: float) -> None:
        """Settle to some part of the hold; all of it if nobody knows, as after a cancelled request."""
        replica = data.draw(st.sampled_from([replica for replica in self.replicas if replica.reservations]))
        reservation = replica.reservations.pop(data.draw(st.integers(0, len(replica.reservations) - 1)))
        self._settle(replica, reservation, round(reservation.amount * part))

    @precondition(lambda self: any(replica.reservations for replica in self.replicas))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel whoever waits for a settlement; the worst case is charged."""
        replica = data.draw(st.sampled_from([replica for replica in self.replicas if replica.reservations]))
        reservation = replica.reservations.pop()
        self._run(cancelled(replica.ledger, reservation))
        self._charge(reservation, reservation.amount)

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def settle_again(self, data: st.DataObject) -> None:
        """Retry a settlement, from any replica; nothing changes."""
        reservation, spent = data.draw(st.sampled_from(self.settled))
        self._run(data.draw(st.sampled_from(self.replicas)).ledger.settle(reservation, spent))

    @rule(place=replicas_by_place)
    def crash(self, place: int) -> None:
        """Kill a replica; what it held is lost, and another takes its place."""
        replica = self.replicas[place]
        self.lost += replica.reservations
        self.crashed = self.crashed or bool(replica.reservations)
        reborn = self._replica(place)
        reborn.now = replica.now
        self.replicas[place] = reborn

    @rule(hours=st.sampled_from([1, 12, 24, 48]))
    def time_passes(self, hours: int) -> None:
        """Let hours or days pass; on the second day a new month begins. Nobody works that long."""
        for replica in self.replicas:
            for reservation in replica.reservations:
                self._settle(replica, reservation, 0)
            replica.reservations = []
            replica.now += timedelta(hours=hours)

    @rule()
    def release(self) -> None:
        """Release what is lost for long; what is younger stays."""
        before = self.replicas[0].now - LONG
        released = {reservation.id for reservation in self._run(self.replicas[0].ledger.release(before))}
        ours = [reservation for reservation in self.lost if reservation.opened_at < before and reservation.amount > 0]
        assert released >= {reservation.id for reservation in ours}
        for reservation in ours:
            self.lost.remove(reservation)
            for key in reservation.keys:
                self.accounts[key].reserved -= reservation.amount

    def _settle(self, replica: Replica, reservation: Reservation, spent: int) -> None:
        self._run(replica.ledger.settle(reservation, spent))
        self._charge(reservation, spent)

    def _charge(self, reservation: Reservation, spent: int) -> None:
        self.settled.append((reservation, spent))
        for key in reservation.keys:
            self.accounts[key].reserved -= reservation.amount
            self.accounts[key].spent += spent

    @invariant()
    def the_database_stands_as_it_must(self) -> None:
        """Held and spent are exact, and together never over the ceiling."""
        if not self.accounts:
            return
        for balance in self._run(self.replicas[0].ledger.balances(*self.accounts)):
            expected = self.accounts[balance.key]
            assert (balance.reserved, balance.spent) == (expected.reserved, expected.spent)
            assert balance.reserved + balance.spent <= expected.ceiling

    def teardown(self) -> None:
        """End every process in an orderly way; if none crashed, nothing is left held."""
        for replica in self.replicas:
            for reservation in replica.reservations:
                self._settle(replica, reservation, 0)
        self.the_database_stands_as_it_must()
        if not self.crashed:
            assert all(each.reserved == 0 for each in self.accounts.values())


async def hung_up(ledger: Ledger, accounts: list[Any], amount: int) -> None:
    """Ask for a hold, and be gone before it is there."""
    asking = asyncio.create_task(ledger.reserve(accounts, amount))
    await asyncio.sleep(0)
    asking.cancel()
    with suppress(asyncio.CancelledError, BudgetExhausted):
        await ledger.settle(await asking, 0)
    await ledger.close()


async def cancelled(ledger: Ledger, reservation: Reservation) -> None:
    """Begin to settle the worst case, and be gone before that is done."""
    settling = asyncio.create_task(ledger.settle(reservation, reservation.amount))
    await asyncio.sleep(0)
    settling.cancel()
    with suppress(asyncio.CancelledError):
        await settling
    await ledger.close()


@pytest.fixture
def history(store_url: str) -> Generator[type[History]]:
    """Give the histories a database and an event loop to happen in."""
    with asyncio.Runner() as runner:
        database = runner.run(open_database(store_url, Path()))
        yield type("HistoryHere", (History,), {"database": database, "runner": runner})
        runner.run(database.close())


def tell(history: type[History], examples: int, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    """Tell so many histories."""
    run_state_machine_as_test(
        history,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            phases=phases,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_money_is_exact_in_every_history(history: type[History]) -> None:
    """Hold, settle, cancel, hang up, crash, release, midnight: spent and held stay exact and under the ceiling."""
    tell(history, QUICK)


@pytest.mark.slow
def test_money_is_exact_in_many_histories(history: type[History], capsys: pytest.CaptureFixture[str]) -> None:
    """The same, as often as a promise about money deserves; how many were really told is printed."""
    wanted = int(os.environ.get("LEDGER_HISTORIES", SLOW))
    before = next(histories)
    tell(history, wanted)
    told = next(histories) - before - 1
    with capsys.disabled():
        print(f"\n{told:,} histories of money on {history.database.dialect}, none overspent")  # noqa: T201 - for people
    assert told >= wanted


@pytest.mark.parametrize(
    ("statement", "condition", "instead"),
    [
        pytest.param("SQLITE_RESERVE", "WHERE reserved + spent + $2 <= $3", "", id="sqlite"),
        pytest.param(
            "POSTGRES_RESERVE",
            "accounts.reserved + accounts.spent + $2 <= wanted.max_total AS fits",
            "true AS fits",
            id="postgresql",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_without_the_atomic_condition_a_history_breaks(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, statement: str, condition: str, instead: str
) -> None:
    """Hypothesis finds a history that overspends as soon as the condition is gone: the test above can fail."""
    monkeypatch.setattr(tills, statement, getattr(tills, statement).replace(condition, instead))
    server: Server | None = request.getfixturevalue("postgres") if statement.startswith("POSTGRES") else None
    url = server.fresh() if server else f"sqlite:///{request.getfixturevalue('tmp_path')}/store.db"

    with asyncio.Runner() as runner:
        database = runner.run(open_database(url, Path()))
        broken = type("BrokenHistory", (History,), {"database": database, "runner": runner})
        with pytest.raises(AssertionError):
            tell(broken, 10 * QUICK, (Phase.generate,))
        runner.run(database.close())
