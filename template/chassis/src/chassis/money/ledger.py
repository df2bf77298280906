"""Money: held before anything is sent, settled to what it cost, exact under concurrency.

An account is a ceiling over a period, and its key carries the period (`day:2026-11-23`), so nothing is ever reset,
and a hold that is settled after midnight is charged to the day on which it was made. A hold counts against every
account at once or against none. What is never settled stays charged: a process that dies mid-request can only make the
service too careful, until a person releases what it left behind.
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
from chassis.money.statements import STATEMENTS
from chassis.store.database import LOCK_TIMEOUT_SECONDS, Connection, Database
from chassis.usd import NanoUsd, to_usd

SETTLE_SECONDS = 0.5
"""How long an answer waits for its settlement; a slow database must not keep it from the caller."""
RETRY_SECONDS = (0.2, 1.0, 5.0)
"""The rests before trying again to settle while the database is unavailable; after that the hold is lost."""
log = structlog.get_logger()


class Ledger:
    """The accounts and holds in the database.

    Args:
        database: Where they are.
        clock: The time of day; a test may name it.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = now) -> None:
        self._database, self._clock = database, clock
        self._statements = STATEMENTS[database.dialect](database)
        self._running: set[asyncio.Task[object]] = set()

    async def reserve(self, accounts: Sequence[Account], amount: NanoUsd) -> Reservation:
        """Set `amount` aside on every account.

        Whoever is cancelled while they wait for this holds nothing.

        Raises:
            BudgetExhausted: One of the accounts has less left; nothing is held then.
            DatabaseUnavailable: The database cannot say, so nothing may be sent.
        """
        accounts = sorted(accounts, key=lambda account: account.key)
        keys = tuple(account.key for account in accounts)
        reservation = Reservation("h_" + secrets.token_hex(12), keys, amount, self._clock())
        taking = self._begin(self._statements.reserve(reservation, accounts))
        try:
            if not taking.done():
                await asyncio.wait({taking})  # `shield` would lose the error of one cancelled just now
            taking.result()
        except (asyncio.CancelledError, DatabaseUnavailable):
            self._begin(self._give_back(reservation, taking))
            raise
        return reservation

    async def settle(self, reservation: Reservation, spent: NanoUsd, time_left: float = SETTLE_SECONDS) -> None:
        """Charge what the request cost and free the rest. Settling a hold again changes nothing.

        This comes to its end even if whoever waits for it is cancelled, and it never fails because of the database: a
        hold that cannot be settled stays charged and is counted as lost. It is waited for only as long as `time_left`.
        """
        settling = self._begin(self._settle_or_lose(reservation, spent))
        if not settling.done():
            await asyncio.wait({settling}, timeout=min(SETTLE_SECONDS, time_left))
        if settling.done():
            settling.result()

    async def balances(self, *keys: str) -> list[Balance]:
        """Return these accounts, or every account that was ever used, by key."""
        named = f"WHERE key IN ({', '.join(f'${place}' for place, _ in enumerate(keys, start=1))})" if keys else ""
        rows = await self._database.fetch(f"SELECT key, reserved, spent FROM accounts {named} ORDER BY key", *keys)  # noqa: S608 - only numbers were put in
        return [Balance(row["key"], row["reserved"], row["spent"]) for row in rows]

    async def open_reservations(self, before: datetime) -> list[Reservation]:
        """Return what was held before a moment and is held still, oldest first."""
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
        """Free what was held before a moment and is held still, as if nothing had been spent; return what that was.

        A note of it stays, so that a settlement that comes after all is charged.
        """
        released: list[Reservation] = []
        for reservation in await self.open_reservations(before):
            async with self._database.transaction() as tx:
                ours = await _release(tx, reservation)
            if ours:
                released.append(reservation)
                log.info("reservation.released", reservation_id=reservation.id, amount_usd=to_usd(reservation.amount))
        return released

    async def close(self) -> None:
        """Wait for the settlements under way, but not for ever."""
        if self._running:
            await asyncio.wait(self._running, timeout=LOCK_TIMEOUT_SECONDS)

    def _begin[T](self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Start what has to come to its end whatever happens to the call that needs it."""
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)  # SQLite is done before it returns
        self._running.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever is left to hear of it has; asyncio need not repeat it

    async def _settle_or_lose(self, reservation: Reservation, spent: NanoUsd) -> None:
        try:
            await self._settle(reservation, spent)
        except DatabaseUnavailable as error:
            log.exception(
                "reservation.lost",
                reservation_id=reservation.id,
                amount_usd=to_usd(reservation.amount),
                reason=error.reason,
            )
        except Exception:  # a mistake of ours; nobody may be waiting any more to hear of it
            log.exception(
                "reservation.lost",
                reservation_id=reservation.id,
                amount_usd=to_usd(reservation.amount),
                reason="mistaken",
            )
            raise

    async def _settle(self, reservation: Reservation, spent: NanoUsd) -> None:
        for rest in RETRY_SECONDS:
            try:
                return await self._statements.settle(reservation, spent)
            except DatabaseUnavailable:
                await asyncio.sleep(rest)
        return await self._statements.settle(reservation, spent)

    async def _give_back(self, reservation: Reservation, taking: asyncio.Task[None]) -> None:
        """Free what may have been taken for somebody who is gone, or by a server that did not say so in time.

        Such a server may take it late, even after it was told to give it back; so it is told again.
        """
        rests: Sequence[float] = ()
        try:
            await taking
        except BudgetExhausted:
            return
        except DatabaseUnavailable:
            rests = RETRY_SECONDS
        with suppress(DatabaseUnavailable):
            await self._settle(reservation, 0)
        for rest in rests:
            await asyncio.sleep(rest)
            with suppress(DatabaseUnavailable):
                await self._statements.settle(reservation, 0)


async def _release(tx: Connection, reservation: Reservation) -> bool:
    """Free one hold, unless somebody settles or releases it at this moment."""
    ours = await tx.execute("UPDATE reservations SET amount = 0 WHERE id = $1 AND amount > 0", reservation.id)
    for key in reservation.keys if ours else ():  # in key order, like everybody who locks accounts
        await tx.execute("UPDATE accounts SET reserved = reserved - $2 WHERE key = $1", key, reservation.amount)
    return ours > 0
