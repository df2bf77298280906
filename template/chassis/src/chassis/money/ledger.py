"""The ledger: reserves money before a request is sent and settles it to the real cost, exact under concurrency.

A reservation counts against all of its accounts or against none. It belongs to the periods in which it was made, also
if it is settled after midnight. One that is never settled, because its process died, stays charged until a person
releases it: the service can only become too careful, never overspend.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import BudgetExhausted, DatabaseUnavailable
from chassis.money.accounts import Account, Balance, Reservation, budget_exhausted
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Connection, Database
from chassis.store.sqlite import Run, SqliteDatabase
from chassis.usd import NanoUsd, to_usd

SETTLE_SECONDS = 0.5
"""The longest time that an answer waits for its settlement; a slow database must not delay it further."""
RETRY_SECONDS = (0.2, 1.0, 5.0)
"""Pauses between attempts to settle while the database is unavailable. After the last one the reservation is lost."""

log = structlog.get_logger()


class Ledger:
    """The accounts and reservations in the database.

    Args:
        database: Where they are.
        clock: Returns the time of day; tests replace it.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = now) -> None:
        self._database, self._clock = database, clock
        self._statements = statements_for(database)
        self._running: set[asyncio.Task[object]] = set()

    async def reserve(self, accounts: Sequence[Account], amount: NanoUsd) -> Reservation:
        """Reserve `amount` on every account. If this is cancelled while it waits, nothing stays reserved.

        Raises:
            BudgetExhausted: One of the accounts has less left; nothing is reserved.
            DatabaseUnavailable: The database did not confirm the reservation, so nothing may be sent.
        """
        # All processes lock accounts in the order of their keys. Otherwise two of them could wait for each other.
        accounts = sorted(accounts, key=lambda account: account.key)
        keys = tuple(account.key for account in accounts)
        # The id is made here and not by the database: if the confirmation gets lost, it can still be given back.
        reservation = Reservation("rsv_" + secrets.token_hex(12), keys, amount, self._clock())
        reserving = self._start(self._statements.reserve(reservation, accounts))
        try:
            if not reserving.done():
                # Unlike `shield`, `wait` does not lose the task's error when this is cancelled at the same moment.
                await asyncio.wait({reserving})
            reserving.result()
        except (asyncio.CancelledError, DatabaseUnavailable):
            # The money may have been reserved, or may yet be.
            self._start(self._give_back(reservation, reserving))
            raise
        return reservation

    async def settle(self, reservation: Reservation, spent: NanoUsd, time_left: float = SETTLE_SECONDS) -> None:
        """Charge what the request cost and free the rest. Settling a reservation again changes nothing.

        The settlement runs to its end even if this is cancelled, and never fails: what cannot be settled stays charged
        and is logged as lost. This waits for it for at most `time_left` seconds.
        """
        settling = self._start(self._settle_or_log(reservation, spent))
        if not settling.done():
            await asyncio.wait({settling}, timeout=min(SETTLE_SECONDS, time_left))

    async def balances(self, *keys: str) -> list[Balance]:
        """Return the balances of these accounts, or of all accounts that were ever used, sorted by key."""
        numbers = (f"${number}" for number, _ in enumerate(keys, start=1))
        where = f"WHERE key IN ({', '.join(numbers)})" if keys else ""
        query = f"SELECT key, reserved, spent FROM accounts {where} ORDER BY key"  # noqa: S608 - only numbers go into it
        rows = await self._database.fetch(query, *keys)
        return [Balance(row["key"], row["reserved"], row["spent"]) for row in rows]

    async def open_reservations(self, before: datetime) -> list[Reservation]:
        """Return what was reserved before a moment and is not yet settled or released, oldest first."""
        rows = await self._database.fetch(
            "SELECT id, keys, amount, opened_at FROM reservations"
            " WHERE amount > 0 AND opened_at < $1 ORDER BY opened_at, id",
            to_timestamp(before),
        )
        return [
            Reservation(
                row["id"], tuple(json.loads(row["keys"])), row["amount"], datetime.fromisoformat(row["opened_at"])
            )
            for row in rows
        ]

    async def release(self, before: datetime) -> list[Reservation]:
        """Free the open reservations made before a moment, as if nothing had been spent, and return them.

        Their rows stay, with an amount of 0: if one of them is settled after all, its cost is charged.
        """
        released: list[Reservation] = []
        # A transaction for each, so that the locks of the busy accounts are held only briefly.
        for reservation in await self.open_reservations(before):
            async with self._database.transaction() as tx:
                was_open = await _release(tx, reservation)
            if was_open:
                released.append(reservation)
                log.info("reservation.released", reservation_id=reservation.id, amount_usd=to_usd(reservation.amount))
        return released

    async def close(self) -> None:
        """Wait for settlements in progress, for at most as long as a database lock is waited for."""
        if self._running:
            await asyncio.wait(self._running, timeout=LOCK_TIMEOUT_SECONDS)

    def _start[T](self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run work in a task of its own, so that it ends even if the call that started it is cancelled."""
        # An eager task runs at once until it first waits. With SQLite, which never waits, it is done by then.
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        self._running.add(task)  # the event loop itself keeps only weak references to tasks
        task.add_done_callback(self._finish)
        return task

    def _finish(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, so that asyncio does not log it too

    async def _settle_or_log(self, reservation: Reservation, spent: NanoUsd) -> None:
        try:
            await self._settle(reservation, spent)
        except Exception as error:  # not even a mistake in our code may keep an answer from its caller
            reason = error.reason if isinstance(error, DatabaseUnavailable) else type(error).__name__
            amount_usd = to_usd(reservation.amount)
            log.exception("reservation.lost", reservation_id=reservation.id, amount_usd=amount_usd, reason=reason)

    async def _settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        # Settling twice is harmless, because the row of the reservation is gone after the first time.
        for pause in RETRY_SECONDS:
            try:
                return await self._statements.settle(reservation, spent)
            except DatabaseUnavailable:
                await asyncio.sleep(pause)
        return await self._statements.settle(reservation, spent)

    async def _give_back(self, reservation: Reservation, reserving: asyncio.Task[None]) -> None:
        """Free what may have been reserved for a call that is gone, or by a server that did not confirm it in time.

        Such a server may still carry out the reservation after it has carried out the settlement, which then found
        nothing to settle. So the settlement is repeated a few times.
        """
        pauses: Sequence[float] = ()
        try:
            await reserving
        except BudgetExhausted:
            return
        except DatabaseUnavailable:
            pauses = RETRY_SECONDS
        with suppress(DatabaseUnavailable):
            await self._settle(reservation, 0)
        for pause in pauses:
            await asyncio.sleep(pause)
            with suppress(DatabaseUnavailable):
                await self._statements.settle(reservation, 0)


async def _release(tx: Connection, reservation: Reservation) -> bool:
    """Free one reservation; return False if it was settled or released in the meantime."""
    was_open = await tx.execute("UPDATE reservations SET amount = 0 WHERE id = $1 AND amount > 0", reservation.id)
    for key in reservation.keys if was_open else ():
        await tx.execute("UPDATE accounts SET reserved = reserved - $2 WHERE key = $1", key, reservation.amount)
    return was_open > 0


# Each database reserves and settles in as few round trips as it allows, and both promise the same: all accounts of a
# reservation are charged or none, and no account exceeds its limit.
#
# SQLite lets one process write at a time, so a condition that is part of the write is true when it is written.
# PostgreSQL lets many write at once. There a single statement locks the rows of the accounts, checks the balances it
# finds once it has them, and writes. It locks them in the order of their keys, compared by code point as Python
# compares strings (hence `COLLATE "C"`): two transactions that lock the same rows in different orders deadlock.

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
        # Prepared before the file is locked; other processes wait for as long as the lock is held.
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
        # A row that another process has inserted but not yet committed is invisible to the first statement. `ON
        # CONFLICT` waits for that commit. A loop, because old accounts may be deleted at the same moment.
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
