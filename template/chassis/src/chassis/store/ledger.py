"""Money: held before anything is sent, settled to what it cost, exact under concurrency.

An account is a ceiling over a period, and its key carries the period (`day:2026-11-23`), so nothing is ever reset. A
hold counts against every account at once or against none. What is never settled stays charged: a process that dies
mid-request can only make the service too careful.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from chassis.clock import now, stamp
from chassis.errors import BudgetExhausted
from chassis.store.database import Database
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
    """Money set aside for one request, in nano-USD, on each of `keys`."""

    id: str
    keys: tuple[str, ...]
    amount: NanoUsd


@dataclass(frozen=True, slots=True)
class Balance:
    """What one account stands at, in nano-USD."""

    key: str
    held: NanoUsd
    spent: NanoUsd


class Ledger:
    """The accounts and holds in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, accounts: Sequence[Account], amount: NanoUsd) -> Hold:
        """Set `amount` aside on every account.

        Raises:
            BudgetExhausted: One of the accounts has less left; nothing is held then.
        """
        # Always in key order: two processes that lock the same accounts the other way round would wait for ever.
        accounts = sorted(accounts, key=lambda account: account.key)
        hold = Hold("h_" + secrets.token_hex(12), tuple(account.key for account in accounts), amount)
        async with self._database.transaction() as tx:
            for account in accounts:
                fits = amount <= account.ceiling and await tx.execute(
                    "INSERT INTO accounts (key, held, spent) VALUES ($1, $2, 0) ON CONFLICT (key) DO UPDATE"
                    " SET held = accounts.held + $2 WHERE accounts.held + accounts.spent + $2 <= $3",
                    account.key,
                    amount,
                    account.ceiling,
                )
                if not fits:
                    raise _exhausted(account, amount)
            await tx.execute(
                "INSERT INTO holds (id, keys, amount, opened_at) VALUES ($1, $2, $3, $4)",
                hold.id,
                json.dumps(hold.keys),
                amount,
                stamp(now()),
            )
        return hold

    async def settle(self, hold: Hold, spent: NanoUsd) -> None:
        """Charge what the request cost and free the rest. Settling a hold again changes nothing."""
        async with self._database.transaction() as tx:
            first = await tx.execute(
                "UPDATE holds SET spent = $2, settled_at = $3 WHERE id = $1 AND settled_at IS NULL",
                hold.id,
                spent,
                stamp(now()),
            )
            for key in hold.keys if first else ():
                await tx.execute(
                    "UPDATE accounts SET held = held - $2, spent = spent + $3 WHERE key = $1", key, hold.amount, spent
                )

    async def balances(self) -> list[Balance]:
        """Return every account that was ever used, by key."""
        rows = await self._database.fetch("SELECT key, held, spent FROM accounts ORDER BY key")
        return [Balance(row["key"], row["held"], row["spent"]) for row in rows]


def _exhausted(account: Account, amount: NanoUsd) -> BudgetExhausted:
    scope = account.key.partition(":")[0].replace("-", " per ")
    return BudgetExhausted(
        f"The budget {scope!r} of {show_usd(account.ceiling)} has less than {show_usd(amount)} left",
        retry_after=account.retry_after,
    )
