"""A process that reserves and settles until it is done or killed, and prints what each request cost."""

import asyncio
import random
import sys
from pathlib import Path

from chassis.errors import BudgetExhausted
from chassis.money.accounts import Account
from chassis.money.ledger import Ledger
from chassis.store.opening import open_database

ACCOUNTS = [Account("day:2026-11-23", limit=40_000, retry_after=60), Account("month:2026-11", 60_000, 600)]
AMOUNT, IN_FLIGHT = 100, 8


async def spend(url: str, requests: int) -> None:
    """Make requests, a few at a time."""
    database = await open_database(url, Path())
    ledger = Ledger(database)
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def request() -> None:
        async with slots:
            try:
                reservation = await ledger.reserve(ACCOUNTS, AMOUNT)
            except BudgetExhausted:
                print("refused", flush=True)
                return
            await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311 - a model's time
            spent = random.randrange(AMOUNT)  # noqa: S311 - and its price
            await ledger.settle(reservation, spent)
            print(spent, flush=True)

    await asyncio.gather(*(request() for _ in range(requests)))
    await ledger.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(spend(sys.argv[1], int(sys.argv[2])))
