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
from typing import Any

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import BudgetExhausted, DatabaseUnavailable
from chassis.money.accounts import Account, Balance, Reservation
from chassis.money.statements import statements_for
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Connection, Database
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
