"""Budgets: the accounts that a request counts against, and how much of their limits is used.

The key of an account contains its period, such as `day:2026-11-23`, so a new day begins with an unused account and
nothing ever has to be reset. Days and months are UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from chassis.clock import now
from chassis.config.constraints import Constraints
from chassis.errors import BudgetExhausted
from chassis.usd import NanoUsd, format_usd, nano_usd

CLOCK_SKEW = timedelta(minutes=1)
"""How far apart the clocks of two replicas may be before one takes a reservation of the other for lost."""
MIN_FORECAST_PERIOD = timedelta(days=1)
"""A forecast from the first hours of a month would be meaningless, so the first day counts as a whole one."""


@dataclass(frozen=True, slots=True)
class Account:
    """A budget limit for one period.

    Args:
        key: What is limited, and the period, such as `caller-day:alice:2026-11-23`.
        limit: The most that may be reserved and spent together, in nano-USD.
        retry_after: Seconds until the period ends.
    """

    key: str
    limit: NanoUsd
    retry_after: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one request.

    Args:
        id: `rsv_` and 24 hexadecimal digits.
        keys: The accounts that it is reserved on, sorted.
        amount: How much is reserved on each of them, in nano-USD.
        opened_at: When, UTC.
    """

    id: str
    keys: tuple[str, ...]
    amount: NanoUsd
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """What is reserved and spent on one account, in nano-USD."""

    key: str
    reserved: NanoUsd
    spent: NanoUsd


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """The balance of one account together with its limit, in nano-USD."""

    key: str
    spent: NanoUsd
    reserved: NanoUsd
    limit: NanoUsd

    @property
    def remaining(self) -> NanoUsd:
        """Return what can still be reserved; 0 if the limit was lowered below what is spent."""
        return max(0, self.limit - self.spent - self.reserved)


def accounts_for(caller: str, constraints: Constraints, moment: datetime | None = None) -> list[Account]:
    """Return the accounts that a request counts against: the caller's day, everybody's day, and everybody's month.

    Args:
        caller: Who asks.
        constraints: The budget limits.
        moment: When, UTC; now if not given.
    """
    moment, cost = moment or now(), constraints.cost
    day, month, tomorrow, next_month = _period(moment.date())
    day_left, month_left = _seconds_until(moment, tomorrow), _seconds_until(moment, next_month)
    return [
        # In this order a refusal names the narrowest limit that is reached, which is the one to do something about.
        Account(f"caller-day:{caller}:{day}", nano_usd(cost.per_caller_day_usd), day_left),
        Account(f"day:{day}", nano_usd(cost.per_day_usd), day_left),
        Account(f"month:{month}", nano_usd(cost.per_month_usd), month_left),
    ]


@lru_cache(maxsize=2)
def _period(day: date) -> tuple[str, str, datetime, datetime]:
    """Return the names of a day and its month, and the moments at which they end."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return f"{day:%Y-%m-%d}", f"{day:%Y-%m}", start + timedelta(days=1), start_of_next_month(start)


def check_request_budget(worst_case: NanoUsd, constraints: Constraints) -> None:
    """Check that a call that costs at most `worst_case` in all is within `cost.per_request_usd`.

    Raises:
        BudgetExhausted: It is not. There is no `retry_after`, because waiting does not help.
    """
    limit = nano_usd(constraints.cost.per_request_usd)
    if worst_case > limit:
        raise BudgetExhausted(
            f"This call could cost {format_usd(worst_case)}, and the limit for a call is {format_usd(limit)}"
        )


def budget_exhausted(account: Account, amount: NanoUsd) -> BudgetExhausted:
    """Return the error for reserving `amount` on an account that has less left."""
    scope = account.key.partition(":")[0].replace("-", " per ")
    return BudgetExhausted(
        f"The budget {scope!r} of {format_usd(account.limit)} has less than {format_usd(amount)} left",
        retry_after=account.retry_after,
    )


def usage_of(account: Account, balances: Mapping[str, Balance]) -> BudgetUsage:
    """Return how much of an account is used; nothing if it has no balance yet."""
    balance = balances.get(account.key, Balance(account.key, reserved=0, spent=0))
    return BudgetUsage(account.key, balance.spent, balance.reserved, account.limit)


def forecast(spent: NanoUsd, moment: datetime) -> NanoUsd:
    """Return what will be spent by the end of the month if spending continues at the rate so far."""
    begin = start_of_month(moment)
    elapsed = max(moment - begin, MIN_FORECAST_PERIOD)
    return int(spent * ((start_of_next_month(moment) - begin) / elapsed))


def lost_before(constraints: Constraints, moment: datetime) -> datetime:
    """Return the time before which every open reservation is lost: no call that opened one can still be running."""
    return moment - timedelta(seconds=constraints.latency.deadline_seconds) - CLOCK_SKEW


def still_charged(lost: Sequence[Reservation], month_key: str) -> list[Reservation]:
    """Return the lost reservations that count against this month's account; older ones no longer limit anything."""
    return [reservation for reservation in lost if month_key in reservation.keys]


def start_of_month(moment: datetime) -> datetime:
    """Return the first moment of the month."""
    return _start_of_day(moment).replace(day=1)


def start_of_next_month(moment: datetime) -> datetime:
    """Return the first moment of the next month."""
    return start_of_month(start_of_month(moment) + timedelta(days=32))  # no month is longer than 31 days


def _start_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _seconds_until(moment: datetime, end: datetime) -> int:
    return max(1, round((end - moment).total_seconds()))
