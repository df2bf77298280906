"""The nouns of money: what is limited, what is set aside, and what an account stands at."""

from dataclasses import dataclass
from datetime import datetime

from chassis.errors import BudgetExhausted
from chassis.types import NanoUsd, show_usd


@dataclass(frozen=True, slots=True)
class Account:
    """A ceiling that one request counts against.

    Args:
        key: What is counted, with its period, such as `caller-day:alice:2026-11-23`.
        ceiling: The most that may be held and spent together, in nano-USD.
        retry_after: Seconds until the period ends.
    """

    key: str
    ceiling: NanoUsd
    retry_after: int


@dataclass(frozen=True, slots=True)
class Hold:
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
    held: NanoUsd
    spent: NanoUsd


def exhausted(account: Account, amount: NanoUsd) -> BudgetExhausted:
    """Return the refusal to hold `amount` on an account that has less left."""
    scope = account.key.partition(":")[0].replace("-", " per ")
    return BudgetExhausted(
        f"The budget {scope!r} of {show_usd(account.ceiling)} has less than {show_usd(amount)} left",
        retry_after=account.retry_after,
    )
