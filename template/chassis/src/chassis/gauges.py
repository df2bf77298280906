"""Keeps the gauges of what the database knows true while a service runs: budgets, desk, switch, and itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chassis.clock import now
from chassis.config.constraints import Constraints
from chassis.errors import DatabaseUnavailable
from chassis.money.accounts import accounts_for, forecast, lost_before, still_charged, usage_of
from chassis.money.ledger import Ledger
from chassis.store.kill_switch import KillSwitch
from chassis.store.review_queue import ReviewQueue
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments
from chassis.usd import to_usd

REFRESH_SECONDS = 15.0
"""Between two looks: as often as a Prometheus server asks."""


@dataclass(frozen=True, slots=True)
class GaugeSources:
    """What is looked at."""

    ledger: Ledger
    review_queue: ReviewQueue
    kill_switch: KillSwitch


@asynccontextmanager
async def refreshed_gauges(
    watched: GaugeSources, constraints: Constraints, instruments: Instruments
) -> AsyncGenerator[None]:
    """Look now and again, until the context is left."""
    task = asyncio.create_task(_watch(watched, constraints, instruments))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def refresh_gauges(watched: GaugeSources, constraints: Constraints, instruments: Instruments) -> None:
    """Write all gauges; while the database does not answer, they keep what they said last, and one says that."""
    try:
        await refresh_budget_gauges(watched.ledger, constraints, instruments)
        waiting, overdue = await watched.review_queue.waiting()
        await watched.kill_switch.is_off()  # it counts what it sees, also while nobody asks a question
    except DatabaseUnavailable:
        instruments.database_up.set(0)
        return
    instruments.review_open.set(waiting)
    instruments.review_overdue.set(overdue)
    instruments.database_up.set(1)


async def refresh_budget_gauges(ledger: Ledger, constraints: Constraints, instruments: Instruments) -> None:
    """Write the standing of the day and the month to the gauges. Callers have too many names to be told apart there."""
    moment = now()
    _, day, month = accounts_for("", constraints, moment)
    balances = {balance.key: balance for balance in await ledger.balances(day.key, month.key)}
    for period, account in (("day", day), ("month", month)):
        usage, where = usage_of(account, balances), {names.PERIOD: period}
        instruments.budget_spent.set(to_usd(usage.spent), where)
        instruments.budget_reserved.set(to_usd(usage.reserved), where)
        instruments.budget_remaining.set(to_usd(usage.remaining), where)
        instruments.budget_limit.set(to_usd(usage.limit), where)
    instruments.budget_forecast.set(to_usd(forecast(usage_of(month, balances).spent, moment)))
    lost = await ledger.open_reservations(lost_before(constraints, moment))
    instruments.budget_lost_reservations.set(len(still_charged(lost, month.key)))


async def _watch(watched: GaugeSources, constraints: Constraints, instruments: Instruments) -> None:
    while True:
        await refresh_gauges(watched, constraints, instruments)
        await asyncio.sleep(REFRESH_SECONDS)
