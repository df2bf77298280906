"""What it costs to hold and settle money: pairs a second on one hot set of accounts, with 32 requests in flight.

`python -m benchmarks.ledger` prints a row for SQLite and, if there is a server to be had, one for PostgreSQL, which
flushes to its disk as in production.
"""

import asyncio
import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from chassis.money.accounts import Account
from chassis.money.ledger import Ledger
from chassis.store.opening import open_database

from benchmarks.rounds import Effort
from benchmarks.tables import Goal, Row, Table, python_version

IN_FLIGHT = 32
GOALS = {"SQLite": 2_000, "PostgreSQL": 380}
"""Pairs a second."""
PAIRS = {"SQLite": 3_200, "PostgreSQL": 960}
"""In one round."""
HOT = [Account(key, 10**15, 60) for key in ("caller-day:alice:2026-11-23", "day:2026-11-23", "month:2026-11")]
TESTS = Path(__file__).parents[1] / "tests/chassis/helpers"


@dataclass(frozen=True, slots=True)
class Pairs:
    """The figures of one database: its best round.

    Args:
        database: Which.
        per_second: Pairs of one hold and one settlement in a second.
        cpu_micros: CPU time of this process for one pair, without the server's.
        goal: Pairs a second that there should be at least.
    """

    database: str
    per_second: float
    cpu_micros: float
    goal: int


def measured(rounds: int = 5) -> Iterator[Pairs]:
    """Yield the figures of each database that can be had."""
    with tempfile.TemporaryDirectory() as folder:
        yield asyncio.run(_best("SQLite", f"sqlite:///{folder}/ledger.db", rounds))
    sys.path.insert(0, str(TESTS))  # the tests know how to start a server
    servers = importlib.import_module("postgres_server")
    try:
        with servers.started_server() as server:
            yield asyncio.run(_best("PostgreSQL", server.url, rounds))
    except servers.NoServer as reason:
        print(reason, file=sys.stderr)


def measure(effort: Effort) -> Table:
    """Hold and settle on each database that can be had."""
    every = list(measured(effort.rounds))
    return Table(
        "Holding and settling money, pairs a second",
        f"{python_version()}; {len(HOT)} hot accounts, {IN_FLIGHT} in flight; best of {effort.rounds} rounds",
        [Row(one.database, {"pairs/s": one.per_second, "goal": one.goal, "CPU µs": one.cpu_micros}) for one in every],
        [Goal(f"{one.database}, pairs/s", one.per_second, one.goal, at_least=True) for one in every],
    )


async def _best(database: str, url: str, rounds: int) -> Pairs:
    store = await open_database(url, Path())
    ledger = Ledger(store)
    try:
        figures = [await _round(ledger, PAIRS[database] // IN_FLIGHT) for _ in range(rounds)]
    finally:
        await ledger.close()
        await store.close()
    return Pairs(database, max(speed for speed, _ in figures), min(cpu for _, cpu in figures), GOALS[database])


async def _round(ledger: Ledger, each: int) -> tuple[float, float]:
    """Return the pairs a second and the CPU microseconds a pair of one round."""

    async def request() -> None:
        for _ in range(each):
            await ledger.settle(await ledger.reserve(HOT, 100), 50)

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(request() for _ in range(IN_FLIGHT)))
    pairs = each * IN_FLIGHT
    return pairs / (time.perf_counter() - begun), (time.process_time() - cpu) / pairs * 1e6


def main() -> None:
    """Measure and print."""
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    print(f"hold + settle on {len(HOT)} accounts, {IN_FLIGHT} in flight")
    for pairs in measured():
        print(
            f"{pairs.database:10}  {pairs.per_second:6,.0f} pairs/s (goal {pairs.goal:,})"
            f"  {pairs.cpu_micros:4.0f} µs CPU a pair"
        )


if __name__ == "__main__":
    main()
