"""The SQL that reserves and settles money, in as few round trips as each database allows.

Both variants promise the same: all accounts of a reservation are charged or none, and no account exceeds its limit.

SQLite lets one process write at a time, so a condition that is part of the write is true when it is written. PostgreSQL
lets many write at once. There a single statement locks the rows of the accounts, checks the balances it finds once it
has them, and writes. It locks them in the order of their keys, compared by code point as Python compares strings (hence
`COLLATE "C"`), because two transactions that lock the same rows in different orders deadlock.
"""

import json
from collections.abc import Sequence
from typing import Protocol

from chassis.clock import to_timestamp
from chassis.money.accounts import Account, Reservation, budget_exhausted
from chassis.store.database import Database
from chassis.store.sqlite import Run, SqliteDatabase
from chassis.usd import NanoUsd

# The first row of an account is inserted if the amount is within the limit; an existing one is updated if there is
# room. In both cases no affected row means that the account is exhausted.
SQLITE_RESERVE = """
INSERT INTO accounts (key, reserved, spent) SELECT $1, $2, 0 WHERE $2 <= $3
ON CONFLICT (key) DO UPDATE SET reserved = reserved + $2 WHERE reserved + spent + $2 <= $3
"""
INSERT_RESERVATION = "INSERT INTO reservations (id, keys, amount, opened_at) VALUES ($1, $2, $3, $4)"
SQLITE_CLOSE = "DELETE FROM reservations WHERE id = $1 RETURNING amount"
SQLITE_CHARGE = "UPDATE accounts SET reserved = reserved - $2, spent = spent + $3 WHERE key = $1"

POSTGRES_CREATE_ACCOUNTS = """
INSERT INTO accounts (key, reserved, spent)
SELECT key, 0, 0 FROM json_each_text($1::json) ORDER BY key COLLATE "C" ON CONFLICT (key) DO NOTHING
"""
# $1 limits by key, $2 amount, $3 id, $4 keys, $5 opened_at. It returns how many of the accounts exist, and the first
# one without room. `locked` is MATERIALIZED so that rows are locked, in order, before `verdict` reads their balances.
POSTGRES_RESERVE = """
WITH wanted AS (SELECT key, value::bigint AS max_total FROM json_each_text($1::json)),
locked AS MATERIALIZED (
    SELECT accounts.key, accounts.reserved, accounts.reserved + accounts.spent + $2 <= wanted.max_total AS fits
    FROM accounts JOIN wanted ON wanted.key = accounts.key ORDER BY accounts.key COLLATE "C" FOR UPDATE OF accounts
),
verdict AS (
    SELECT count(*) AS existing, min(key COLLATE "C") FILTER (WHERE NOT fits) AS exhausted,
        count(*) FILTER (WHERE fits) = (SELECT count(*) FROM wanted) AS all_fit
    FROM locked
),
updated AS (
    UPDATE accounts SET reserved = locked.reserved + $2 FROM locked, verdict
    WHERE accounts.key = locked.key AND verdict.all_fit
),
inserted AS (
    INSERT INTO reservations (id, keys, amount, opened_at) SELECT $3, $4, $2, $5 FROM verdict WHERE verdict.all_fit
)
SELECT existing, exhausted FROM verdict
"""
# $1 id, $2 keys, $3 spent. With `synchronous_commit` off the server answers before the change is on its disk. If it
# crashes before that, the reservation is there again and stays charged: too careful, but never overspent.
POSTGRES_SETTLE = """
WITH fast AS (SELECT set_config('synchronous_commit', 'off', true)),
closed AS (DELETE FROM reservations USING fast WHERE id = $1 RETURNING amount),
locked AS MATERIALIZED (
    SELECT key FROM accounts
    WHERE key IN (SELECT json_array_elements_text($2::json)) AND EXISTS (SELECT 1 FROM closed)
    ORDER BY key COLLATE "C" FOR UPDATE
)
UPDATE accounts SET reserved = accounts.reserved - closed.amount, spent = accounts.spent + $3 FROM locked, closed
WHERE accounts.key = locked.key
"""


class LedgerStatements(Protocol):
    """Reserves and settles in one database."""

    async def reserve(self, reservation: Reservation, accounts: Sequence[Account]) -> None:
        """Reserve the amount on every account.

        Args:
            reservation: What to reserve.
            accounts: Its accounts, sorted by key.

        Raises:
            BudgetExhausted: One of the accounts has less left; nothing is reserved.
        """
        ...

    async def settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        """Free the reservation and charge `spent`, unless that was done before."""
        ...


class SqliteStatements:
    """One transaction for each operation, with one statement for each account."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def reserve(self, reservation: Reservation, accounts: Sequence[Account]) -> None:
        """Write to one account after the other; the error of one without room rolls the transaction back."""
        keys, opened_at = json.dumps(reservation.keys), to_timestamp(reservation.opened_at)

        def reserve(run: Run) -> None:
            for account in accounts:
                if not run(SQLITE_RESERVE, account.key, reservation.amount, account.limit).rowcount:
                    raise budget_exhausted(account, reservation.amount)
            run(INSERT_RESERVATION, reservation.id, keys, reservation.amount, opened_at)

        await self._database.transact(reserve)

    async def settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        """Delete the reservation and, if it was still there, charge the accounts."""

        def settle(run: Run) -> None:
            # The deleted amount and not `reservation.amount` is freed: it is 0 if the reservation was released.
            for (reserved,) in run(SQLITE_CLOSE, reservation.id).fetchall():
                for key in reservation.keys:
                    run(SQLITE_CHARGE, key, reserved, spent)

        await self._database.transact(settle)


class PostgresStatements:
    """One round trip for each operation, and two more the first time that an account is used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, reservation: Reservation, accounts: Sequence[Account]) -> None:
        """Lock the accounts and write to all of them if all have room."""
        limits = json.dumps({account.key: account.limit for account in accounts})
        values = (
            limits,
            reservation.amount,
            reservation.id,
            json.dumps(reservation.keys),
            to_timestamp(reservation.opened_at),
        )
        [verdict] = await self._database.fetch(POSTGRES_RESERVE, *values)
        while verdict["existing"] < len(accounts):
            await self._database.execute(POSTGRES_CREATE_ACCOUNTS, limits)
            [verdict] = await self._database.fetch(POSTGRES_RESERVE, *values)
        for account in accounts:
            if account.key == verdict["exhausted"]:
                raise budget_exhausted(account, reservation.amount)

    async def settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        """Delete the reservation and charge the accounts."""
        await self._database.execute(POSTGRES_SETTLE, reservation.id, json.dumps(reservation.keys), spent)


def statements_for(database: Database) -> LedgerStatements:
    """Return the statements for a database."""
    return SqliteStatements(database) if isinstance(database, SqliteDatabase) else PostgresStatements(database)
