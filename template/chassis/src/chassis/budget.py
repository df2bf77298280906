"""Which ceilings of `[cost]` a request counts against, and until when."""

from datetime import datetime, timedelta

from chassis.clock import now
from chassis.constraints import Constraints
from chassis.errors import BudgetExhausted
from chassis.store.accounts import Account
from chassis.types import NanoUsd, show_usd


def accounts_for(caller: str, constraints: Constraints, moment: datetime | None = None) -> list[Account]:
    """Return the accounts that a request of `caller` counts against, by UTC day and month."""
    moment = moment or now()
    day, month = f"{moment:%Y-%m-%d}", f"{moment:%Y-%m}"
    midnight = _seconds_until(moment, _start_of_day(moment) + timedelta(days=1))
    ceilings = constraints.ceilings
    return [
        Account(f"caller-day:{caller}:{day}", ceilings["per_caller_day"], midnight),
        Account(f"day:{day}", ceilings["per_day"], midnight),
        Account(f"month:{month}", ceilings["per_month"], _seconds_until(moment, start_of_next_month(moment))),
    ]


def check_call(worst_case: NanoUsd, constraints: Constraints) -> None:
    """Refuse to go on with a call that could cost more than `cost.per_request_usd` in all.

    Raises:
        BudgetExhausted: It could. Waiting does not help, so there is no `retry_after`.
    """
    ceiling = constraints.ceilings["per_request"]
    if worst_case > ceiling:
        raise BudgetExhausted(f"This call could cost {show_usd(worst_case)}; the ceiling is {show_usd(ceiling)}")


def start_of_month(moment: datetime) -> datetime:
    """Return the first moment of the month."""
    return _start_of_day(moment).replace(day=1)


def start_of_next_month(moment: datetime) -> datetime:
    """Return the first moment after the month."""
    return start_of_month(start_of_month(moment) + timedelta(days=32))


def _start_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _seconds_until(moment: datetime, end: datetime) -> int:
    return max(1, round((end - moment).total_seconds()))
