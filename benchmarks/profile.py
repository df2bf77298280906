"""Where the time of one call goes, library by library: the reason where a goal of `guard` or `service` is missed."""

import asyncio
import cProfile
import json
import pstats
import signal
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chassis.web.app import build_app
from chassis.web.server import DrainingServer, listen, server_config
from chassis.wiring import Wiring

from benchmarks import stub
from benchmarks.contestants import BARE, CALLER, FOUND, ON_POSTGRES, ON_SQLITE, SDK, TASK, Ask, contestants, postgresql
from benchmarks.guard import QUESTIONS
from benchmarks.rounds import Effort
from benchmarks.tables import Row, Table, python_version

SERVED = "one request to the service"
"""With the server and, because it runs in the same process, a client that does next to nothing."""
COLUMNS = (SERVED, ON_POSTGRES, ON_SQLITE, FOUND, SDK, BARE)
ROUNDS_TO_CALLS = 8
LEAST_MICROS = 20
"""What takes less in every column is left out."""
REST = "Python's own library"
IN_C = "~"
"""The file of what is written in C; its time counts for whoever calls it."""

LARGEST = 3
"""How many libraries are named of those that make a difference."""

type Function = tuple[str, int, str]
type Figures = tuple[int, int, float, float]
type Share = dict[str, float]
"""The microseconds that each library takes of a call."""


def measure(effort: Effort) -> Table:
    """Profile a request to the service, and a call in other ways, and add up what each library takes by itself."""
    calls = effort.bursts * ROUNDS_TO_CALLS
    with stub.running() as url, postgresql() as server:
        shares = asyncio.run(_shares(url, server, calls))
    libraries = {library for share in shares.values() for library in share}
    rows = [
        Row(library, {f"µs, {name}": shares[name][library] for name in shares if shares[name].get(library)})
        for library in libraries
    ]
    seen = [row for row in rows if max(row.figures.values()) >= LEAST_MICROS]
    return Table(
        "Where the time of one call goes",
        f"{python_version()}; own CPU time in cProfile, which inflates it: compare columns, not tables; {calls} calls"
        + "".join(_remainders(shares)),
        sorted(seen, key=lambda row: -max(row.figures.values())),
    )


def _remainders(shares: dict[str, Share]) -> Iterator[str]:
    """Say what a call of ours takes beyond one of the SDK, and that on PostgreSQL and the service beyond that."""
    for name, base in ((ON_SQLITE, SDK), (ON_POSTGRES, ON_SQLITE), (SERVED, ON_SQLITE)):
        if name in shares:
            more = {library: micros - shares[base].get(library, 0) for library, micros in shares[name].items()}
            largest = sorted(more, key=lambda library: -more[library])[:LARGEST]
            where = ", ".join(f"{more[library]:,.0f} in {library}" for library in largest)
            yield f". What remains of `{name}` above `{base}`: {sum(more.values()):,.0f} µs, of which {where}"


async def _shares(url: str, server: str | None, calls: int) -> dict[str, Share]:
    async with contestants(url, server) as (asks, wirings), _served(wirings[0]) as served:
        ways = {**asks, SERVED: served}
        return {name: await _share(ways[name], calls) for name in COLUMNS if name in ways}


@asynccontextmanager
async def _served(wiring: Wiring) -> AsyncGenerator[Ask]:
    """Serve a wiring in this process, and yield a way to ask it on one connection."""
    key = await wiring.api_keys.create(CALLER)
    app = build_app(wiring)
    server = DrainingServer(server_config(wiring, app), app)
    with listen("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        head = (
            f"POST /v1/{TASK.name} HTTP/1.1\r\nHost: {CALLER}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

        async def ask(text: str) -> None:
            body = json.dumps({"text": text})
            writer.write(f"{head}{len(body)}\r\n\r\n{body}".encode())
            reply = await reader.readuntil(stub.HEAD_END)
            assert reply.startswith(b"HTTP/1.1 200"), reply
            await reader.readexactly(int(reply.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))

        yield ask
        writer.close()
        server.handle_exit(signal.SIGINT, None)  # no load balancer has to notice
        await serving


async def _share(ask: Ask, calls: int) -> Share:
    """Return the microseconds that each library takes of a call, with its calls of C and without those of others."""
    await ask(next(QUESTIONS))
    with cProfile.Profile(time.process_time) as profile:  # in wall-clock time a send waits for the server's turn
        for _ in range(calls):
            await ask(next(QUESTIONS))
    micros: defaultdict[str, float] = defaultdict(float)
    known: Any = pstats.Stats(profile)  # its figures have no types
    statistics: dict[Function, tuple[int, int, float, float, dict[Function, Figures]]] = known.stats
    for (file, _, name), (_, _, own, _, callers) in statistics.items():
        if file != IN_C:
            micros[_library(file)] += own / calls * 1e6
        elif "select.epoll" not in name:  # that is waiting
            for (caller, _, _), (_, _, part, _) in callers.items():
                micros[_library(caller)] += part / calls * 1e6
    return dict(micros)


def _library(file: str) -> str:
    parts = Path(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    if "chassis" in parts:
        inner = parts[len(parts) - parts[::-1].index("chassis") :]
        return ".".join(("chassis", *inner[:-1]))
    return "benchmarks" if "benchmarks" in parts else REST
