"""What it costs to start, and what a started server holds: a command, an import, an idle service."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.projects import CLI, environment, generate
from benchmarks.rounds import Effort, cpu_of_children, in_turn, lowest
from benchmarks.servers import answers, free_port
from benchmarks.tables import Row, Table, goals, python_version

HELP, SERVE = "chassis --help", "chassis serve, serving"
GOALS = {HELP: {"goal": 200}, SERVE: {"goal": 1000, "MB goal": 85}}
READY = "READY"
HOLD = f"import atexit, sys; atexit.register(lambda: (print('{READY}', flush=True), sys.stdin.read()))\n"
"""Lets a program say that it is done and wait, so that its memory can be read."""
BARE_SERVER = """
import sys, uvicorn, fastapi
app = fastapi.FastAPI()
app.get("/healthz")(lambda: {})
uvicorn.run(app, port=int(sys.argv[-1]), log_level="warning")
"""
STEPS = {
    "Python, asyncio": "import asyncio",
    "typer, rich": "import typer, rich.traceback",
    "pydantic, pydantic-settings": "import pydantic_settings",
    "structlog": "import structlog",
    "FastAPI, uvicorn": "import fastapi, uvicorn.protocols.http.h11_impl",
    "httpx2": "import httpx2",
    "pydantic-ai": "import pydantic_ai.direct",
    "OpenTelemetry, prometheus-client": "import opentelemetry.sdk.trace, opentelemetry.exporter.prometheus",
    "the chassis": "import chassis.wiring, chassis.web.server",
}
"""What `chassis serve` imports, in an order in which each library comes after those that it needs."""
REST = "documents, prices, wiring, routes, first response"

type Child = subprocess.Popen[str]


@dataclass(frozen=True, slots=True)
class Footprint:
    """The CPU time and the resident memory of a process at the moment when it is ready."""

    cpu_seconds: float
    megabytes: float


def measure(effort: Effort) -> Table:
    """Start each contestant in turn."""
    with TemporaryDirectory() as folder:
        project = generate(Path(folder))
        contestants: dict[str, Callable[[], Footprint]] = {
            "python, nothing imported": partial(finished, project, "pass"),
            "import chassis": partial(finished, project, "import chassis"),
            HELP: partial(finished, project, CLI, "--help"),
            "import pydantic_ai": partial(finished, project, "import pydantic_ai"),
            "bare FastAPI on uvicorn, serving": partial(serving, project, BARE_SERVER),
            SERVE: partial(serving, project, CLI, "serve", "--port"),
        }
        measured = [(name, start()) for name, start in in_turn(contestants, effort.rounds)]
    cpu = lowest((name, footprint.cpu_seconds) for name, footprint in measured)
    memory = lowest((name, footprint.megabytes) for name, footprint in measured)
    rows = [Row(name, {"CPU ms": cpu[name] * 1e3, "MB": memory[name]} | GOALS.get(name, {})) for name in contestants]
    return Table(
        "Starting, and memory when ready",
        f"{python_version()}; a project of default answers, no key, bytecode cached; least of {effort.rounds} rounds",
        rows,
        [*goals(rows, "CPU ms"), *goals(rows, "MB", "MB goal")],
    )


def measure_steps(effort: Effort) -> Table:
    """Divide a start into the libraries that it imports and the rest: the reason where a goal of it is missed."""
    with TemporaryDirectory() as folder:
        project = generate(Path(folder))
        programs = {name: "; ".join(["import gc", "gc.disable()", *code]) for name, code in _first_imports().items()}
        contestants: dict[str, Callable[[], Footprint]] = {
            name: partial(finished, project, program) for name, program in programs.items()
        } | {REST: partial(serving, project, CLI, "serve", "--port")}
        measured = [(name, start()) for name, start in in_turn(contestants, effort.rounds)]
    cpu = lowest((name, footprint.cpu_seconds * 1e3) for name, footprint in measured)
    memory = lowest((name, footprint.megabytes) for name, footprint in measured)
    former = dict(zip(contestants, [None, *contestants], strict=False))
    rows = [
        Row(
            name,
            {
                "+ CPU ms": cpu[name] - cpu.get(former[name] or "", 0),
                "+ MB": memory[name] - memory.get(former[name] or "", 0),
                "CPU ms so far": cpu[name],
                "MB so far": memory[name],
            },
        )
        for name in contestants
    ]
    return Table(
        "Where the time and the memory of a start go",
        f"{python_version()}; each row adds to those above it; least of {effort.rounds} rounds",
        rows,
    )


def _first_imports() -> dict[str, list[str]]:
    """Return for each step the imports up to it."""
    return {name: list(STEPS.values())[: number + 1] for number, name in enumerate(STEPS)}


def finished(project: Path, code: str, *arguments: str) -> Footprint:
    """Run a program until it is done."""

    def ready(child: Child) -> bool:
        assert child.stdout is not None
        return child.stdout.readline().strip() == READY

    return footprint(project, [HOLD + code, *arguments], ready)


def serving(project: Path, code: str, *arguments: str) -> Footprint:
    """Run a server until it answers; its port is the last argument."""
    port = free_port()

    def ready(_: Child) -> bool:
        return answers(port, "/healthz")

    return footprint(project, [code, *arguments, str(port)], ready)


def footprint(project: Path, program: list[str], ready: Callable[[Child], bool]) -> Footprint:
    """Start a program inside a project, wait until it is ready, and stop it.

    Raises:
        RuntimeError: It ended before.
    """
    before = cpu_of_children()
    with subprocess.Popen(
        [sys.executable, "-c", *program],
        cwd=project,
        env=environment(project),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            while not ready(child):
                if child.poll() is not None:
                    raise RuntimeError(f"a program ended before it was ready: {child.communicate()[1]}")
            megabytes = resident_megabytes(child.pid)
        finally:
            child.kill()
    return Footprint(cpu_of_children() - before, megabytes)


def resident_megabytes(pid: int) -> float:
    """Return what a process holds in memory; where there is no /proc, `ps` knows."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        kilobytes = re.findall(r"VmRSS:\s+(\d+)", status.read_text(encoding="ascii"))[0]
    else:
        kilobytes = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], check=True, capture_output=True).stdout
    return int(kilobytes) / 1e3
