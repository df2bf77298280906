"""Keeps the gauges of what the database knows true while a service runs: budgets, desk, switch, and itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chassis.clock import now
from chassis.config.constraints import Constraints
from chassis.errors import StoreUnavailable
from chassis.money.accounts import accounts_for, forecast, lost_before, standing_of, still_charged
from chassis.money.ledger import Ledger
from chassis.store.kill_switch import ModelSwitch
from chassis.store.review_queue import Desk
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments
from chassis.usd import in_usd

EVERY_SECONDS = 15.0
"""Between two looks: as often as a Prometheus server asks."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at."""

    ledger: Ledger
    desk: Desk
    switch: ModelSwitch


@asynccontextmanager
async def watching(watched: Watched, constraints: Constraints, instruments: Instruments) -> AsyncGenerator[None]:
    """Look now and again, until the context is left."""
    task = asyncio.create_task(_watch(watched, constraints, instruments))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def look(watched: Watched, constraints: Constraints, instruments: Instruments) -> None:
    """Write all gauges; while the database does not answer, they keep what they said last, and one says that."""
    try:
        await observe(watched.ledger, constraints, instruments)
        waiting, overdue = await watched.desk.waiting()
        await watched.switch.is_off()  # it counts what it sees, also while nobody asks a question
    except StoreUnavailable:
        instruments.store_up.set(0)
        return
    instruments.desk_open.set(waiting)
    instruments.desk_overdue.set(overdue)
    instruments.store_up.set(1)


async def observe(ledger: Ledger, constraints: Constraints, instruments: Instruments) -> None:
    """Write the standing of the day and the month to the gauges. Callers have too many names to be told apart there."""
    moment = now()
    _, day, month = accounts_for("", constraints, moment)
    balances = {balance.key: balance for balance in await ledger.balances(day.key, month.key)}
    for period, account in (("day", day), ("month", month)):
        standing, where = standing_of(account, balances), {names.PERIOD: period}
        instruments.budget_spent.set(in_usd(standing.spent), where)
        instruments.budget_held.set(in_usd(standing.held), where)
        instruments.budget_left.set(in_usd(standing.left), where)
        instruments.budget_ceiling.set(in_usd(standing.ceiling), where)
    instruments.budget_forecast.set(in_usd(forecast(standing_of(month, balances).spent, moment)))
    lost = await ledger.open_holds(lost_before(constraints, moment))
    instruments.budget_lost_holds.set(len(still_charged(lost, month.key)))


async def _watch(watched: Watched, constraints: Constraints, instruments: Instruments) -> None:
    while True:
        await look(watched, constraints, instruments)
        await asyncio.sleep(EVERY_SECONDS)
