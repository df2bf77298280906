"""Holding and settling in as few steps as each database allows: everything else about money is in `ledger.py`.

Both say the same: all accounts or none, and whoever gets past the condition has the money. SQLite lets one process
write at a time, so a condition that is checked while writing stays true. PostgreSQL lets many, so one statement locks
the accounts, looks at what they stand at then, and writes. It locks them in key order, by code points as Python sorts
(hence `COLLATE "C"`): two that lock the same accounts the other way round would wait for each other for ever.
"""

import json
from collections.abc import Sequence
from typing import Protocol

from chassis.clock import to_timestamp
from chassis.money.accounts import Account, Reservation, budget_exhausted
from chassis.store.database import Database
from chassis.usd import NanoUsd

SQLITE_RESERVE = """
INSERT INTO accounts (key, reserved, spent) SELECT $1, $2, 0 WHERE $2 <= $3
ON CONFLICT (key) DO UPDATE SET reserved = reserved + $2 WHERE reserved + spent + $2 <= $3
"""
INSERT_RESERVATION = "INSERT INTO reservations (id, keys, amount, opened_at) VALUES ($1, $2, $3, $4)"
SQLITE_SETTLE = "DELETE FROM reservations WHERE id = $1 RETURNING amount"
SQLITE_CHARGE = "UPDATE accounts SET reserved = reserved - $2, spent = spent + $3 WHERE key = $1"

POSTGRES_OPEN = """
INSERT INTO accounts (key, reserved, spent)
SELECT key, 0, 0 FROM json_each_text($1::json) ORDER BY key COLLATE "C" ON CONFLICT (key) DO NOTHING
"""
POSTGRES_RESERVE = """
WITH wanted AS (SELECT key, value::bigint AS max_total FROM json_each_text($1::json)),
locked AS MATERIALIZED (
    SELECT accounts.key, accounts.reserved, accounts.reserved + accounts.spent + $2 <= wanted.max_total AS fits
    FROM accounts JOIN wanted ON wanted.key = accounts.key ORDER BY accounts.key COLLATE "C" FOR UPDATE OF accounts
),
verdict AS (
    SELECT count(*) AS known, min(key COLLATE "C") FILTER (WHERE NOT fits) AS short,
        count(*) FILTER (WHERE fits) = (SELECT count(*) FROM wanted) AS all_fit
    FROM locked
),
taken AS (
    UPDATE accounts SET reserved = locked.reserved + $2 FROM locked, verdict
    WHERE accounts.key = locked.key AND verdict.all_fit
),
noted AS (
    INSERT INTO reservations (id, keys, amount, opened_at) SELECT $3, $4, $2, $5 FROM verdict WHERE verdict.all_fit
)
SELECT known, short FROM verdict
"""
POSTGRES_SETTLE = """
WITH safe AS (SELECT set_config('synchronous_commit', 'off', true)),
gone AS (DELETE FROM reservations USING safe WHERE id = $1 RETURNING amount),
locked AS MATERIALIZED (
    SELECT key FROM accounts
    WHERE key IN (SELECT json_array_elements_text($2::json)) AND EXISTS (SELECT 1 FROM gone)
    ORDER BY key COLLATE "C" FOR UPDATE
)
UPDATE accounts SET reserved = accounts.reserved - gone.amount, spent = accounts.spent + $3 FROM locked, gone
WHERE accounts.key = locked.key
"""


class LedgerStatements(Protocol):
    """Where money is taken from and settled."""

    async def reserve(self, reservation: Reservation, accounts: Sequence[Account]) -> None:
        """Hold the amount on every account.

        Raises:
            BudgetExhausted: It does not fit everywhere; nothing is held then.
        """
        ...

    async def settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        """Turn what is held into what was spent, once."""
        ...


class SqliteStatements:
    """One transaction each, with a statement for each account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, reservation: Reservation, accounts: Sequence[Account]) -> None:
        """Write to every account that has room, and take it all back if one has none."""
        async with self._database.transaction() as tx:
            for account in accounts:
                if not await tx.execute(SQLITE_RESERVE, account.key, reservation.amount, account.limit):
                    raise budget_exhausted(account, reservation.amount)
            await tx.execute(
                INSERT_RESERVATION,
                reservation.id,
                json.dumps(reservation.keys),
                reservation.amount,
                to_timestamp(reservation.opened_at),
            )

    async def settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        """Take the note away; who does that, charges."""
        async with self._database.transaction() as tx:
            for note in await tx.fetch(SQLITE_SETTLE, reservation.id):
                for key in reservation.keys:
                    await tx.execute(SQLITE_CHARGE, key, note["amount"], spent)


class PostgresStatements:
    """One round trip each; to accounts that are asked for the first time, two more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, reservation: Reservation, accounts: Sequence[Account]) -> None:
        """Lock the accounts, and write to all of them if all have room."""
        ceilings = json.dumps({account.key: account.limit for account in accounts})
        values = (
            ceilings,
            reservation.amount,
            reservation.id,
            json.dumps(reservation.keys),
            to_timestamp(reservation.opened_at),
        )
        [found] = await self._database.fetch(POSTGRES_RESERVE, *values)
        while found["known"] < len(accounts):
            await self._database.execute(POSTGRES_OPEN, ceilings)
            [found] = await self._database.fetch(POSTGRES_RESERVE, *values)
        for account in accounts:
            if account.key == found["short"]:
                raise budget_exhausted(account, reservation.amount)

    async def settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        """Take the note away and charge.

        The server need not flush this to its disk before it answers: a settlement that is lost with the server leaves
        its hold, and a hold is the careful side.
        """
        await self._database.execute(POSTGRES_SETTLE, reservation.id, json.dumps(reservation.keys), spent)


STATEMENTS = {"sqlite": SqliteStatements, "postgresql": PostgresStatements}
"""By dialect."""
