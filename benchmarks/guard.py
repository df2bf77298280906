"""What the guards add to one model request, against the vendor's SDK and pydantic-ai asking the same stub."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from itertools import count
from statistics import median

from chassis.errors import DatabaseUnavailable
from chassis.wiring import Wiring

from benchmarks import litellm_router, stub
from benchmarks.contestants import (
    BARE,
    FOUND,
    ON_POSTGRES,
    ON_SQLITE,
    SDK,
    Ask,
    contestants,
    postgresql,
)
from benchmarks.litellm_router import Router
from benchmarks.rounds import Effort, cpu_seconds
from benchmarks.tables import Row, Table, goals, python_version

ROUTER, ROUTER_EVERY = "LiteLLM Router", 5
"""It runs in a process and an environment of its own, and takes its turn in every fifth round: it is slow."""
AT_ONCE = 100
RATIO = f"x {SDK}"
GOALS = {FOUND: 0.15, ON_SQLITE: 1.5, ON_POSTGRES: 1.8}
"""How many times the CPU time of a call of the SDK a whole call of ours may take."""
ROUTER_RATIO, ROUTER_GOAL, OWN_GOAL = f"x {ROUTER}", 0.3, 0.12
"""Which part of a call of LiteLLM's Router a whole call and its own cost, above pydantic-ai's, may be."""
QUESTIONS = (f"What happens when budget {number} is used up?" for number in count())

type Costs = dict[str, float]
type Measured = tuple[str, float, float]
"""A contestant, the CPU microseconds of the middle call of a round, and of storing the spans of one."""


def measure(effort: Effort) -> Table:
    """Send the same question through each contestant in turn, then many at once."""
    with stub.running() as url, litellm_router.running(url, stub.MODEL) as router, postgresql() as server:
        costs, speeds = asyncio.run(_measured(url, effort, router, server))
    rows = [Row(name, _figures(name, costs) | {f"calls/s, {AT_ONCE} at once": speeds[name]}) for name in costs]
    return Table(
        "One model request, through the guards and without them",
        f"{python_version()}; {stub.TRAFFIC}; local spans, JSON log; the middle of {effort.bursts} rounds of "
        f"{effort.calls} calls in turn, spans included; own: above {BARE}, as part of a call of {ROUTER}; "
        "the topic `profile` shows where the time goes",
        rows,
        [*goals(rows, RATIO), *goals(rows, ROUTER_RATIO, "router goal"), *goals(rows, "own", "own goal")],
    )


def _figures(name: str, costs: Costs) -> dict[str, float]:
    figures = {"CPU µs": costs[name], RATIO: costs[name] / costs[SDK]}
    if name in GOALS:
        figures["goal"] = GOALS[name]
    if name == ON_SQLITE and ROUTER in costs:
        figures |= {ROUTER_RATIO: costs[name] / costs[ROUTER], "router goal": ROUTER_GOAL}
        figures |= {"own": (costs[name] - costs[BARE]) / costs[ROUTER], "own goal": OWN_GOAL}
    return figures


async def _measured(url: str, effort: Effort, router: Router | None, server: str | None) -> tuple[Costs, Costs]:
    """Return the CPU microseconds of one call, one after the other, and the calls a second with many at once."""
    async with contestants(url, server) as (asks, wirings):
        costs = summed([figure async for figure in _costs(asks, wirings, effort, router)])
        speeds = {name: await _speed(ask, effort) for name, ask in asks.items()}
        if router:
            calls = AT_ONCE * effort.calls
            _, seconds = await asyncio.to_thread(router.seconds, calls, AT_ONCE)
            speeds[ROUTER] = calls / seconds
    return costs, speeds


def summed(measured: Iterable[Measured]) -> Costs:
    """Return the middle of all rounds of each contestant: of a call, and of storing its spans.

    The least of all calls would favor the short ones: the longer a call takes, the less likely is one that nothing
    disturbs.
    """
    parts = [*measured]
    names = dict.fromkeys(name for name, *_ in parts)
    return {
        name: median(asking for found, asking, _ in parts if found == name)
        + median(storing for found, _, storing in parts if found == name)
        for name in names
    }


async def _costs(
    asks: Mapping[str, Ask], wirings: list[Wiring], effort: Effort, router: Router | None
) -> AsyncGenerator[Measured]:
    for round_ in range(effort.bursts):
        for name, ask in asks.items():
            calls = [await _asking(ask) for _ in range(effort.calls)]
            before = cpu_seconds()
            for wiring in wirings:
                wiring.telemetry.tracers.force_flush()  # spans are stored by a thread; each pays for its own
            yield name, median(calls), (cpu_seconds() - before) / effort.calls * 1e6
        if router and round_ % ROUTER_EVERY == 0:
            alone = [(await asyncio.to_thread(router.seconds, 1))[0] for _ in range(effort.calls)]
            yield ROUTER, median(alone) * 1e6, 0.0


async def _asking(ask: Ask) -> float:
    before = cpu_seconds()
    await ask(next(QUESTIONS))
    return (cpu_seconds() - before) * 1e6


async def _speed(ask: Ask, effort: Effort) -> float:
    async def worker() -> int:
        answered = 0
        for _ in range(effort.calls):
            with suppress(
                DatabaseUnavailable
            ):  # a server that keeps too many waiting; what is refused counts as nothing
                await ask(next(QUESTIONS))
                answered += 1
        return answered

    begun = time.perf_counter()
    answered = sum(await asyncio.gather(*(worker() for _ in range(AT_ONCE))))
    return answered / (time.perf_counter() - begun)
