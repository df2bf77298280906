"""Runs faults: a complete service behind HTTP, a vendor's real SDK, and a vendor that misbehaves."""

import re
import socket
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any

from chassis import Draft, Task
from chassis.config.project import Project, Settings
from chassis.errors import DatabaseUnavailable
from chassis.money.ledger import Balance
from chassis.testing import OWNER, constraints_for_tests
from chassis.usd import nano_usd
from chassis.wiring import wire
from fault import DEADLINE_SECONDS, NOTHING, USAGE, WORST, Fault, Result
from faulty_vendor import FaultyVendor
from live_server import LiveService, serve_live
from pydantic import SecretStr
from pydantic_ai import Agent
from pydantic_ai.models import Model, override_allow_model_requests
from sample_repository import CONSTRAINTS, write_repository
from sample_task import Answer, Question, shout
from telemetry_sinks import Lines

USED = nano_usd(10 * 10 / 1e6 + 5 * 100 / 1e6)
"""The cost of 10 input and 5 output tokens at the prices of the tests."""
ALL_OUTPUT = nano_usd(100 * 100 / 1e6)
"""The cost of the whole output cap. The worst case is this and the cost of the largest possible input."""
OUR_EVENTS = re.compile(r"[a-z_]+\.[a-z_]+")
DATABASE = "service.db"
LOCKED_SECONDS = 0.5
UNRELATED_EVENTS = ("call.finished", "database.migrated", "api_key.created")


async def ask_structured(question: Question, model: Model) -> Draft[Answer]:
    """Return a structured answer, with a tool; some questions cause errors."""
    agent = Agent(model, output_type=Answer, retries=1)

    @agent.tool_plain
    def look_up(word: str) -> str:
        if "error in a tool" in question.text:
            raise ZeroDivisionError
        return f"{word}: see elsewhere"

    if "error in the task" in question.text:
        raise ZeroDivisionError
    return Draft((await agent.run(question.text)).output, confidence=0.9)


def baseline(question: Question) -> Draft[Answer]:
    """Shout, except if the question causes an error."""
    if "error in the baseline" in question.text:
        raise ZeroDivisionError
    return shout(question)


TASK = Task(name="echo", takes=Question, gives=Answer, run=ask_structured, baseline=baseline)


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a call, the seconds it took, and what stays reserved."""

    result: Result
    seconds: float
    reserved: int


def run(fault: Fault, vendor: FaultyVendor, root: Path, lines: Lines) -> Run:
    """Run one fault."""
    with open_faulty(fault, vendor, root) as service:
        with _damaged(fault.database, service, root / DATABASE):
            started = time.perf_counter()
            response = service.ask(fault.question)
            seconds = time.perf_counter() - started
        balances = service.run(service.wiring.ledger.balances())
    month = next((item for item in balances if item.key.startswith("month")), Balance("month", reserved=0, spent=0))
    body: dict[str, Any] = response.json()
    result = Result(
        status=response.status_code,
        answered_by=body.get("answered_by") or body.get("type", "review").rpartition("/")[2],
        fallback_reason=body.get("fallback_reason"),
        charged=_charged(month.spent, body.get("answered_by")),
        logged=_logged(lines),
    )
    return Run(result, seconds, month.reserved)


@contextmanager
def open_faulty(fault: Fault, vendor: FaultyVendor, root: Path) -> Generator[LiveService]:
    """Serve with the models of a fault."""
    first = fault.first if isinstance(fault.first, str) else vendor.url("first", fault.first)
    addresses = {"first": first.format(plain=f"127.0.0.1:{vendor.port}"), "second": vendor.url("second", fault.second)}
    models = [
        {"name": name, "provider": "openai-compatible", "model": name, "base_url": address, "destination": name}
        | {"max_output_tokens": 100, "input_usd_per_million": 10, "output_usd_per_million": 100}
        for name, address in addresses.items()
    ]
    constraints = constraints_for_tests(
        models=models,
        destinations={name: {"classes": ["internal"], "redact": []} for name in addresses},
        latency={"deadline_seconds": DEADLINE_SECONDS},
        limits={"model_requests_per_call": 6},
        fallback={"database_down": fault.database_down},
        tools={"look_up": {"destination": "first", "side_effects": False}},
    )
    settings = Settings(database_url=f"sqlite:///{DATABASE}", openai_compatible_api_key=SecretStr("key"))
    project = Project(root, "sample", "1.0.0", "sample.task:TASK")

    def wire_faulty() -> Any:
        return wire(project, task=TASK, constraints=constraints, settings=settings, owner=OWNER)

    with override_allow_model_requests(allow_model_requests=True), serve_live(wire_faulty) as service:
        yield service


@contextmanager
def _damaged(how: str | None, service: LiveService, file: Path) -> Generator[None]:
    """Damage the database, and repair it afterwards."""
    match how:
        case "locked" | "slow":
            other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
            if how == "slow":
                Timer(LOCKED_SECONDS, other.rollback).start()
            yield
            other.rollback()
        case "full":
            [pages] = service.run(service.wiring.database.fetch("PRAGMA page_count"))[0].values()
            service.run(service.wiring.database.execute(f"PRAGMA max_page_count = {pages}"))
            with suppress(DatabaseUnavailable):
                for number in count():
                    fill = "INSERT INTO accounts (key, reserved, spent) VALUES ($1, 0, 0)"
                    service.run(service.wiring.database.execute(fill, str(number)))
            yield
        case "gone":
            away = file.rename(file.with_suffix(".away"))
            yield
            away.rename(file)
        case _:
            yield


@contextmanager
def resolving_nowhere() -> Generator[None]:
    """Resolve no name in `.invalid`, without asking a name server."""
    getaddrinfo = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, f"{host}: Name or service not known")
        return getaddrinfo(host, *args, **options)

    socket.getaddrinfo = resolve  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = getaddrinfo


def _charged(spent: int, answered_by: str | None) -> str:
    first = spent - (USED if answered_by == "second" else 0)
    match divmod(first, USED):
        case (0, 0):
            return NOTHING
        case (_, 0):
            return USAGE
        case _ if first > ALL_OUTPUT:
            return WORST
        case _:
            return f"{first} nano-dollars, which is none of these"


def _logged(lines: Lines) -> tuple[str, ...]:
    return tuple(
        f"{line['event']} {line.get('error') or line.get('subject') or ''}".strip()
        for line in lines.parsed()
        if OUR_EVENTS.fullmatch(line["event"]) and (line["event"] not in UNRELATED_EVENTS or line.get("error"))
    )


def write_faulty_repository(root: Path, address: str) -> Path:
    """Write a team's repository whose only model is at this address."""
    write_repository(root)
    model = (
        '[destinations.vendor]\nclasses = ["public"]\nredact = []\n[[models]]\nname = "first"\n'
        f'provider = "openai-compatible"\nmodel = "first"\nbase_url = "{address}"\ndestination = "vendor"\n'
        "max_output_tokens = 100\ninput_usd_per_million = 10\noutput_usd_per_million = 100\n"
        '[tools.look_up]\ndestination = "vendor"\nside_effects = false\n'
    )
    (root / "constraints.toml").write_text(CONSTRAINTS + model)
    (root / ".env").write_text("OPENAI_COMPATIBLE_API_KEY=key\n")
    (root / "pyproject.toml").write_text(
        '[project]\nname = "faulty"\nversion = "1"\n[tool.chassis]\ntask = "faulty_service:TASK"\n'
    )
    return root
