"""Refreshes the gauges whose values are in the database: budgets, the review queue and the kill switch."""

from dataclasses import dataclass

import structlog

from chassis.clock import now
from chassis.config.constraints import Constraints
from chassis.errors import DatabaseUnavailable
from chassis.money.accounts import accounts_for, forecast, lost_before, still_charged, usage_of
from chassis.money.ledger import Ledger
from chassis.store.database import Database, check_writable
from chassis.store.kill_switch import KillSwitch
from chassis.store.review_queue import ReviewQueue
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments
from chassis.usd import to_usd

log = structlog.get_logger()
REFRESH_SECONDS = 15.0
"""The usual interval at which Prometheus asks for metrics."""


@dataclass(frozen=True, slots=True)
class GaugeSources:
    """Where the values of the gauges come from."""

    database: Database
    ledger: Ledger
    review_queue: ReviewQueue
    kill_switch: KillSwitch


async def refresh_gauges(sources: GaugeSources, constraints: Constraints, instruments: Instruments) -> None:
    """Set all gauges. While the database is unavailable only `database_up` changes; the others keep their values."""
    try:
        await check_writable(sources.database)
        await refresh_budget_gauges(sources.ledger, constraints, instruments)
        open_referrals, overdue = await sources.review_queue.count_open()
        await sources.kill_switch.is_off()  # updates its own gauge, also while no question is asked
    except Exception as error:
        instruments.database_up.set(0)
        if not isinstance(error, DatabaseUnavailable):
            log.exception("gauges.failed", error=type(error).__name__)
        return
    instruments.review_open.set(open_referrals)
    instruments.review_overdue.set(overdue)
    instruments.database_up.set(1)


async def refresh_budget_gauges(ledger: Ledger, constraints: Constraints, instruments: Instruments) -> None:
    """Set the gauges of the day's and the month's budget. Callers have none: there would be a time series for each."""
    moment = now()
    _, day, month = accounts_for("", constraints, moment)
    balances = {balance.key: balance for balance in await ledger.balances(day.key, month.key)}
    for period, account in (("day", day), ("month", month)):
        usage, labels = usage_of(account, balances), {names.PERIOD: period}
        instruments.budget_spent.set(to_usd(usage.spent), labels)
        instruments.budget_reserved.set(to_usd(usage.reserved), labels)
        instruments.budget_remaining.set(to_usd(usage.remaining), labels)
        instruments.budget_limit.set(to_usd(usage.limit), labels)
    instruments.budget_forecast.set(to_usd(forecast(usage_of(month, balances).spent, moment)))
    lost = await ledger.open_reservations(lost_before(constraints, moment))
    instruments.budget_lost_reservations.set(len(still_charged(lost, month.key)))
