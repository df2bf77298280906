"""What one request costs the whole service, from its port to the vendor's and back, against LiteLLM's proxy."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from httpx2 import AsyncClient, Limits

from benchmarks import litellm_proxy, servers, stub
from benchmarks.contestants import AMPLE, CALLER, CAP, TASK, WIDE, pass_on
from benchmarks.guard import QUESTIONS
from benchmarks.projects import CLI, environment, generate
from benchmarks.rounds import Effort, in_turn, lowest
from benchmarks.servers import Door
from benchmarks.tables import Goal, Row, Table, goals, python_version

PROXY, OURS, HANDBOOK = "LiteLLM proxy", "ours, the question passed on", "ours, as generated"
RATIO, GOALS = f"x {PROXY}", {OURS: 0.25, HANDBOOK: 0.5}
"""Which part of the proxy's CPU time a request of ours may take."""
LEVELS = (1, 10, 50, 100)
"""Callers at the same time, each on a connection of its own that is reused."""
REQUESTS_A_LEVEL = 20
"""Times the calls of an effort."""
BUSY_LEVEL, BUSY_GOAL = 10, 0.8
"""With that many callers, a process of ours should spend that part of its time at work."""
CALLS_A_TURN = 10
"""Times the calls of an effort: the kernel counts the time of other processes in hundredths of a second."""
LATER_SECONDS = 1.0
"""Until a server has done what it leaves for after its reply, such as storing spans."""
SETUP = (
    f"servers on loopback, asked with a key; {stub.TRAFFIC}; ours: one process, SQLite, local spans, JSON log; the "
    "proxy: one worker, no database"
)
PLACES = {"concurrent_calls": 1_000, "queued_calls": 1_000}
LIMITS = AMPLE | WIDE | PLACES | {"input_usd_per_million": 0.75, "output_usd_per_million": 4.5}
"""Nothing but its cost slows a request down, and it does cost something."""

type Costs = dict[str, float]


def measure(effort: Effort) -> Iterator[Table]:
    """Send questions through each server in turn, one after the other, and then from many callers at once."""
    with served() as doors:
        yield one_by_one(doors, effort)
        yield at_once(doors, effort)


def one_by_one(doors: Mapping[str, Door], effort: Effort) -> Table:
    """Measure what one request costs each server."""
    costs = asyncio.run(_costs(doors, effort))
    rows = [Row(name, _figures(name, costs)) for name in costs]
    return Table(
        "One request to a whole service, and to a proxy",
        f"{python_version()}; {SETUP}; CPU time of the server alone, least of {effort.rounds} rounds of "
        f"{_calls(effort)} requests on a reused connection",
        rows,
        goals(rows, RATIO),
    )


def at_once(doors: Mapping[str, Door], effort: Effort) -> Table:
    """Send questions from more and more callers at the same time, and measure how long each waits."""
    rows = asyncio.run(_levels(doors, effort))
    busy = [row for row in rows if row.name == _level(OURS, BUSY_LEVEL)]
    return Table(
        "Callers at the same time",
        f"{python_version()}; {SETUP}; wall-clock time on reused connections, the client and the stub on the same "
        f"processors; {REQUESTS_A_LEVEL * effort.calls} requests each; busy: CPU time of the server per second",
        rows,
        [Goal(f"{row.name}, busy", row.figures["busy"], BUSY_GOAL, at_least=True) for row in busy],
    )


@contextmanager
def served() -> Generator[Mapping[str, Door]]:
    """Serve the proxy, if it can be installed, and both services of ours."""
    with (
        stub.running() as url,
        litellm_proxy.running(url, stub.MODEL, CAP) as proxy,
        serving(url, TASK.name, f"{pass_on.__module__}:TASK") as ours,
        serving(url, "help") as handbook,
    ):
        doors = {PROXY: proxy, OURS: ours, HANDBOOK: handbook}
        yield {name: door for name, door in doors.items() if door}


@contextmanager
def serving(url: str, name: str, task: str | None = None) -> Generator[Door]:
    """Serve a generated project in production, with the vendor at `url` as its model.

    Args:
        url: The vendor.
        name: What the task is called.
        task: Another task than the project's own, as `[tool.chassis]` names it.
    """
    answers = {"provider": "openai-compatible", "base_url": url, "model": stub.MODEL}
    port = servers.free_port()
    with TemporaryDirectory() as folder:
        project = generate(Path(folder), **answers)
        for limit, value in LIMITS.items():
            _set(project / "constraints.toml", limit, f"{value}")
        if task:
            _set(project / "pyproject.toml", "task", f'"{task}"')
        variables = environment(project) | {"CHASSIS_ENV": "production", "OPENAI_COMPATIBLE_API_KEY": "none"}
        chassis = (sys.executable, "-c", CLI)
        created = subprocess.run(
            [*chassis, "keys", "create", CALLER], cwd=project, env=variables, check=True, capture_output=True, text=True
        )
        command = (*chassis, "serve", "--port", f"{port}")
        with servers.running(command, port, "/healthz", variables, project) as group:
            key = created.stdout.strip()
            yield Door(group, f"http://127.0.0.1:{port}/v1/{name}", key, lambda text: {"text": text})


def _set(file: Path, key: str, value: str) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(rf"^{key} = [^#\n]*", f"{key} = {value}  ", text, flags=re.MULTILINE), encoding="utf-8")


def _calls(effort: Effort) -> int:
    return effort.calls * CALLS_A_TURN


def _figures(name: str, costs: Costs) -> Costs:
    figures = {"CPU ms": costs[name]}
    if PROXY in costs:
        figures[RATIO] = costs[name] / costs[PROXY]
    return figures | ({"goal": GOALS[name]} if PROXY in costs and name in GOALS else {})


async def _costs(doors: Mapping[str, Door], effort: Effort) -> Costs:
    """Return the CPU milliseconds of one request, one after the other."""
    async with AsyncClient(timeout=60) as client:
        return lowest([(name, await _cost(client, door, effort)) for name, door in in_turn(doors, effort.rounds)])


async def _cost(client: AsyncClient, door: Door, effort: Effort) -> float:
    await _ask(client, door)  # on a connection that stays
    before = servers.cpu_seconds(door.group)
    for _ in range(_calls(effort)):
        await _ask(client, door)
    await asyncio.sleep(LATER_SECONDS)
    return (servers.cpu_seconds(door.group) - before) / _calls(effort) * 1e3


async def _levels(doors: Mapping[str, Door], effort: Effort) -> list[Row]:
    return [
        Row(_level(name, callers), await _waits(door, callers, REQUESTS_A_LEVEL * effort.calls))
        for name, door in doors.items()
        for callers in LEVELS
    ]


def _level(name: str, callers: int) -> str:
    return f"{name}, {callers} at once"


async def _waits(door: Door, callers: int, requests: int) -> Costs:
    """Return how long requests take, how many are answered in a second, and how busy the server is meanwhile."""
    waits: list[float] = []
    left = count(requests, -1)
    async with AsyncClient(timeout=60, limits=Limits(max_connections=callers)) as client:

        async def caller() -> None:
            while next(left) > 0:
                begun = time.perf_counter()
                await _ask(client, door)
                waits.append((time.perf_counter() - begun) * 1e3)

        await asyncio.gather(*(_ask(client, door) for _ in range(callers)))  # opens the connections
        begun, cpu = time.perf_counter(), servers.cpu_seconds(door.group)
        await asyncio.gather(*(caller() for _ in range(callers)))
        seconds = time.perf_counter() - begun
    percentiles = quantiles(waits, n=100, method="inclusive")
    return {
        "p50 ms": percentiles[49],
        "p95 ms": percentiles[94],
        "p99 ms": percentiles[98],
        "requests/s": len(waits) / seconds,
        "busy": (servers.cpu_seconds(door.group) - cpu) / seconds,
    }


async def _ask(client: AsyncClient, door: Door) -> None:
    """Ask a question that has not been asked before.

    Raises:
        RuntimeError: The answer is not the stub's, so that comparing would mean nothing.
    """
    key = {"Authorization": f"Bearer {door.key}"}
    reply = await client.post(door.address, json=door.asking(next(QUESTIONS)), headers=key)
    if reply.status_code != 200 or stub.ANSWER not in reply.text:
        raise RuntimeError(f"{door.address} answers with {reply.status_code}: {reply.text}")
