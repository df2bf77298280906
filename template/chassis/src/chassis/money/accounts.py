"""The nouns of money: what is limited, what is set aside, and what an account stands at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.clock import now
from chassis.config.constraints import Constraints
from chassis.errors import BudgetExhausted
from chassis.usd import NanoUsd, format_usd


@dataclass(frozen=True, slots=True)
class Account:
    """A ceiling that one request counts against.

    Args:
        key: What is counted, with its period, such as `caller-day:alice:2026-11-23`.
        ceiling: The most that may be held and spent together, in nano-USD.
        retry_after: Seconds until the period ends.
    """

    key: str
    limit: NanoUsd
    retry_after: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one request.

    Args:
        id: Unique, `h_` and 24 hexadecimal digits.
        keys: The accounts it is held on, in key order.
        amount: How much, in nano-USD, on each of them.
        opened_at: When, UTC.
    """

    id: str
    keys: tuple[str, ...]
    amount: NanoUsd
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """What one account stands at, in nano-USD."""

    key: str
    reserved: NanoUsd
    spent: NanoUsd


def budget_exhausted(account: Account, amount: NanoUsd) -> BudgetExhausted:
    """Return the refusal to hold `amount` on an account that has less left."""
    scope = account.key.partition(":")[0].replace("-", " per ")
    return BudgetExhausted(
        f"The budget {scope!r} of {format_usd(account.limit)} has less than {format_usd(amount)} left",
        retry_after=account.retry_after,
    )


def accounts_for(caller: str, constraints: Constraints, moment: datetime | None = None) -> list[Account]:
    """Return the accounts that a request of `caller` counts against, by UTC day and month."""
    moment = moment or now()
    day, month = f"{moment:%Y-%m-%d}", f"{moment:%Y-%m}"
    midnight = _seconds_until(moment, _start_of_day(moment) + timedelta(days=1))
    ceilings = constraints.budget_limits
    return [
        Account(f"caller-day:{caller}:{day}", ceilings["per_caller_day"], midnight),
        Account(f"day:{day}", ceilings["per_day"], midnight),
        Account(f"month:{month}", ceilings["per_month"], _seconds_until(moment, start_of_next_month(moment))),
    ]


def check_request_budget(worst_case: NanoUsd, constraints: Constraints) -> None:
    """Refuse to go on with a call that could cost more than `cost.per_request_usd` in all.

    Raises:
        BudgetExhausted: It could. Waiting does not help, so there is no `retry_after`.
    """
    ceiling = constraints.budget_limits["per_request"]
    if worst_case > ceiling:
        raise BudgetExhausted(f"This call could cost {format_usd(worst_case)}; the ceiling is {format_usd(ceiling)}")


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


CLOCK_SKEW = timedelta(minutes=1)
"""How much the clocks of two replicas may differ before an honest hold looks lost."""
MIN_FORECAST_PERIOD = timedelta(days=1)
"""A forecast from the first minutes of a month would say nothing."""


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """One account with all that is known about it, in nano-USD."""

    key: str
    spent: NanoUsd
    reserved: NanoUsd
    limit: NanoUsd

    @property
    def remaining(self) -> NanoUsd:
        """Return what can still be held; a ceiling that was lowered leaves nothing."""
        return max(0, self.limit - self.spent - self.reserved)


def usage_of(account: Account, balances: Mapping[str, Balance]) -> BudgetUsage:
    """Return how an account stands; one that was never used is untouched."""
    balance = balances.get(account.key, Balance(account.key, reserved=0, spent=0))
    return BudgetUsage(account.key, balance.spent, balance.reserved, account.limit)


def forecast(spent: NanoUsd, moment: datetime) -> NanoUsd:
    """Return what will have been spent at the end of the month if it goes on like this."""
    begin = start_of_month(moment)
    elapsed = max(moment - begin, MIN_FORECAST_PERIOD)
    return int(spent * ((start_of_next_month(moment) - begin) / elapsed))


def lost_before(constraints: Constraints, moment: datetime) -> datetime:
    """Return the moment before which whatever is held still was lost with its process: no call lasts that long."""
    return moment - timedelta(seconds=constraints.latency.deadline_seconds) - CLOCK_SKEW


def still_charged(lost: Sequence[Reservation], month: str) -> list[Reservation]:
    """Return the lost holds that weigh on this month, by its account's key; the others ended with their periods."""
    return [reservation for reservation in lost if month in reservation.keys]
