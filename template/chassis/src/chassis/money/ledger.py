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

from chassis.clock import now, stamp
from chassis.errors import BudgetExhausted, StoreUnavailable
from chassis.money.accounts import Account, Balance, Hold
from chassis.money.statements import TILLS
from chassis.store.database import PATIENCE_SECONDS, Connection, Database
from chassis.usd import NanoUsd, in_usd

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
        self._till = TILLS[database.dialect](database)
        self._running: set[asyncio.Task[object]] = set()

    async def hold(self, accounts: Sequence[Account], amount: NanoUsd) -> Hold:
        """Set `amount` aside on every account.

        Whoever is cancelled while they wait for this holds nothing.

        Raises:
            BudgetExhausted: One of the accounts has less left; nothing is held then.
            StoreUnavailable: The database cannot say, so nothing may be sent.
        """
        accounts = sorted(accounts, key=lambda account: account.key)
        keys = tuple(account.key for account in accounts)
        hold = Hold("h_" + secrets.token_hex(12), keys, amount, self._clock())
        taking = self._begin(self._till.take(hold, accounts))
        try:
            if not taking.done():
                await asyncio.wait({taking})  # `shield` would lose the error of one cancelled just now
            taking.result()
        except (asyncio.CancelledError, StoreUnavailable):
            self._begin(self._give_back(hold, taking))
            raise
        return hold

    async def settle(self, hold: Hold, spent: NanoUsd, time_left: float = SETTLE_SECONDS) -> None:
        """Charge what the request cost and free the rest. Settling a hold again changes nothing.

        This comes to its end even if whoever waits for it is cancelled, and it never fails because of the database: a
        hold that cannot be settled stays charged and is counted as lost. It is waited for only as long as `time_left`.
        """
        settling = self._begin(self._settle_or_lose(hold, spent))
        if not settling.done():
            await asyncio.wait({settling}, timeout=min(SETTLE_SECONDS, time_left))
        if settling.done():
            settling.result()

    async def balances(self, *keys: str) -> list[Balance]:
        """Return these accounts, or every account that was ever used, by key."""
        named = f"WHERE key IN ({', '.join(f'${place}' for place, _ in enumerate(keys, start=1))})" if keys else ""
        rows = await self._database.fetch(f"SELECT key, held, spent FROM accounts {named} ORDER BY key", *keys)  # noqa: S608 - only numbers were put in
        return [Balance(row["key"], row["held"], row["spent"]) for row in rows]

    async def open_holds(self, before: datetime) -> list[Hold]:
        """Return what was held before a moment and is held still, oldest first."""
        rows = await self._database.fetch(
            "SELECT id, keys, amount, opened_at FROM holds WHERE amount > 0 AND opened_at < $1 ORDER BY opened_at, id",
            stamp(before),
        )
        return [
            Hold(row["id"], tuple(json.loads(row["keys"])), row["amount"], datetime.fromisoformat(row["opened_at"]))
            for row in rows
        ]

    async def release(self, before: datetime) -> list[Hold]:
        """Free what was held before a moment and is held still, as if nothing had been spent; return what that was.

        A note of it stays, so that a settlement that comes after all is charged.
        """
        released: list[Hold] = []
        for hold in await self.open_holds(before):
            async with self._database.transaction() as tx:
                ours = await _release(tx, hold)
            if ours:
                released.append(hold)
                log.info("hold.released", hold_id=hold.id, amount_usd=in_usd(hold.amount))
        return released

    async def close(self) -> None:
        """Wait for the settlements under way, but not for ever."""
        if self._running:
            await asyncio.wait(self._running, timeout=PATIENCE_SECONDS)

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

    async def _settle_or_lose(self, hold: Hold, spent: NanoUsd) -> None:
        try:
            await self._settle(hold, spent)
        except StoreUnavailable as error:
            log.exception("hold.lost", hold_id=hold.id, amount_usd=in_usd(hold.amount), reason=error.reason)
        except Exception:  # a mistake of ours; nobody may be waiting any more to hear of it
            log.exception("hold.lost", hold_id=hold.id, amount_usd=in_usd(hold.amount), reason="mistaken")
            raise

    async def _settle(self, hold: Hold, spent: NanoUsd) -> None:
        for rest in RETRY_SECONDS:
            try:
                return await self._till.settle(hold, spent)
            except StoreUnavailable:
                await asyncio.sleep(rest)
        return await self._till.settle(hold, spent)

    async def _give_back(self, hold: Hold, taking: asyncio.Task[None]) -> None:
        """Free what may have been taken for somebody who is gone, or by a server that did not say so in time.

        Such a server may take it late, even after it was told to give it back; so it is told again.
        """
        rests: Sequence[float] = ()
        try:
            await taking
        except BudgetExhausted:
            return
        except StoreUnavailable:
            rests = RETRY_SECONDS
        with suppress(StoreUnavailable):
            await self._settle(hold, 0)
        for rest in rests:
            await asyncio.sleep(rest)
            with suppress(StoreUnavailable):
                await self._till.settle(hold, 0)


async def _release(tx: Connection, hold: Hold) -> bool:
    """Free one hold, unless somebody settles or releases it at this moment."""
    ours = await tx.execute("UPDATE holds SET amount = 0 WHERE id = $1 AND amount > 0", hold.id)
    for key in hold.keys if ours else ():  # in key order, like everybody who locks accounts
        await tx.execute("UPDATE accounts SET held = held - $2 WHERE key = $1", key, hold.amount)
    return ours > 0
