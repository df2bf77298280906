"""What one request costs the whole service, from its port to the vendor's and back, against LiteLLM's proxy."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from httpx2 import AsyncClient, Limits

from benchmarks import litellm_proxy, servers, stub
from benchmarks.contestants import AMPLE, CALLER, CAP, TASK, WIDE, pass_on
from benchmarks.guard import QUESTIONS
from benchmarks.projects import CLI, environment, generate
from benchmarks.rounds import Effort, in_turn, lowest
from benchmarks.servers import Door
from benchmarks.tables import Row, Table, missed, python_version

PROXY, OURS, HANDBOOK = "LiteLLM proxy", "ours, the question passed on", "ours, as generated"
RATIO, GOAL = f"x {PROXY}", 0.3
"""Which part of the proxy's CPU time a request of ours may take."""
AT_ONCE = 32
CALLS_A_TURN = 10
"""Times the calls of an effort: the kernel counts the time of other processes in hundredths of a second."""
LATER_SECONDS = 1.0
"""Until a server has done what it leaves for after its reply, such as storing spans."""
LIMITS = AMPLE | WIDE | {"calls_per_minute": 10**6, "input_usd_per_million": 0.75, "output_usd_per_million": 4.5}
"""Nothing but its cost slows a request down, and it does cost something."""

type Costs = dict[str, float]


def measure(effort: Effort) -> Table:
    """Send questions through each server in turn, one after the other and many at once."""
    with (
        stub.running() as url,
        litellm_proxy.running(url, stub.MODEL, CAP) as proxy,
        serving(url, TASK.name, f"{pass_on.__module__}:TASK") as ours,
        serving(url, "help") as handbook,
    ):
        doors = {PROXY: proxy, OURS: ours, HANDBOOK: handbook}
        costs, speeds = asyncio.run(_measured({name: door for name, door in doors.items() if door}, effort))
    rows = [Row(name, _figures(name, costs) | {f"requests/s, {AT_ONCE} at once": speeds[name]}) for name in costs]
    return Table(
        "One request to a whole service, and to a proxy",
        f"{python_version()}; servers on loopback, asked with a key; {stub.TRAFFIC}; ours: SQLite, local spans, "
        "JSON log; the proxy: one worker, no database; CPU time of the server alone, "
        f"least of {effort.rounds} rounds of {_calls(effort)} requests",
        rows,
        [*missed(rows, RATIO)],
    )


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
    return figures | ({"goal": GOAL} if name == OURS else {})


async def _measured(doors: Mapping[str, Door], effort: Effort) -> tuple[Costs, Costs]:
    """Return the CPU milliseconds of one request, one after the other, and the requests a second with many at once."""
    async with AsyncClient(timeout=60, limits=Limits(max_connections=AT_ONCE)) as client:
        costs = lowest([(name, await _cost(client, door, effort)) for name, door in in_turn(doors, effort.rounds)])
        walls = lowest([(name, await _wall(client, door, effort)) for name, door in in_turn(doors, effort.rounds)])
    return costs, {name: AT_ONCE * effort.calls / wall for name, wall in walls.items()}


async def _cost(client: AsyncClient, door: Door, effort: Effort) -> float:
    await _ask(client, door)  # on a connection that stays
    before = servers.cpu_seconds(door.group)
    for _ in range(_calls(effort)):
        await _ask(client, door)
    await asyncio.sleep(LATER_SECONDS)
    return (servers.cpu_seconds(door.group) - before) / _calls(effort) * 1e3


async def _wall(client: AsyncClient, door: Door, effort: Effort) -> float:
    async def worker() -> None:
        for _ in range(effort.calls):
            await _ask(client, door)

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return time.perf_counter() - begun


async def _ask(client: AsyncClient, door: Door) -> None:
    """Ask a question that has not been asked before.

    Raises:
        RuntimeError: The answer is not the stub's, so that comparing would mean nothing.
    """
    key = {"Authorization": f"Bearer {door.key}"}
    reply = await client.post(door.address, json=door.asking(next(QUESTIONS)), headers=key)
    if reply.status_code != 200 or stub.ANSWER not in reply.text:
        raise RuntimeError(f"{door.address} answers with {reply.status_code}: {reply.text}")
