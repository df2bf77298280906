"""The ways in which the same question is asked: through nothing, through libraries, and through the guards."""

import importlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from chassis import Draft, Task
from chassis.config.constraints import Constraints, ModelConfig, load_constraints
from chassis.config.project import Settings, find_project
from chassis.guard.model import GuardedModel
from chassis.guard.pipeline import Guard
from chassis.guard.vendors import connect
from chassis.money.accounts import Account, Reservation
from chassis.money.ledger import Ledger
from chassis.store.reply_cache import ReplyCache
from chassis.store.sqlite import SqliteDatabase
from chassis.telemetry.logs import configure_logs
from chassis.usd import NanoUsd
from chassis.wiring import Wiring, wire
from httpx2 import AsyncClient, Limits
from openai import AsyncOpenAI
from pydantic import BaseModel, SecretStr
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from benchmarks import stub
from benchmarks.projects import generate

HTTP, SDK, BARE, OFF = "httpx2", "openai SDK", "pydantic-ai", "ours, everything off"
FOUND = "guards alone, found in the cache"
IN_MEMORY, ON_SQLITE, ON_POSTGRES = "ours, full, in memory", "ours, full, on SQLite", "ours, full, on PostgreSQL"
CAP = 800
CALLER = "bench"
SQLITE = "sqlite:///var/service.db"
TESTS = Path(__file__).parents[1] / "tests/chassis/helpers"
AMPLE = {"per_request_usd": 1, "per_caller_day_usd": 10**6, "per_day_usd": 10**6, "per_month_usd": 10**6}
"""A hundred requests at once must be slowed down by nothing but their cost."""
WIDE = {"concurrent_requests_per_model": 1_000, "queued_requests_per_model": 1_000, "calls_per_minute": 10**6}

type Ask = Callable[[str], Awaitable[object]]


class Text(BaseModel):
    """A question, and its answer."""

    text: str


async def pass_on(question: Text, model: Model) -> Draft[Text]:
    """Ask once and add nothing: what is measured is what carries the task."""
    return Draft(Text(text=str((await asked(model, question.text)).text)), confidence=1)


def nothing(_: Text) -> Draft[Text]:
    """Never reached while the stub answers."""
    return Draft(Text(text=""), confidence=0)


TASK = Task(name="bench", takes=Text, gives=Text, run=pass_on, baseline=nothing)


class Unbooked(Ledger):
    """A ledger that holds and settles nothing."""

    async def reserve(self, accounts: Sequence[Account], amount: NanoUsd) -> Reservation:
        """Reserve nothing."""
        return Reservation("rsv_none", tuple(account.key for account in accounts), amount, self._clock())

    async def settle(self, reservation: Reservation, spent: NanoUsd, time_left: float = 0) -> None:
        """Settle nothing."""


async def asked(model: Model, text: str) -> ModelResponse:
    """Ask a model in pydantic-ai's plainest way."""
    return await model_request(
        model, [ModelRequest.user_text_prompt(text)], model_settings=ModelSettings(max_tokens=CAP)
    )


@asynccontextmanager
async def contestants(url: str, server: str | None) -> AsyncGenerator[tuple[dict[str, Ask], list[Wiring]]]:
    """Return every way to ask the vendor at `url` by its name, and what has to be flushed after a burst of them."""
    vendor_client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0, timeout=10)
    vendor = OpenAIChatModel(stub.MODEL, provider=OpenAIProvider(openai_client=vendor_client))
    ours = connected(url)
    many = Limits(max_connections=1000, max_keepalive_connections=100)
    async with (
        vendor_client,
        AsyncClient(base_url=url, timeout=10, limits=many) as client,
        wired(ours, SQLITE) as on_sqlite,
    ):
        memory = await SqliteDatabase.open(Path(":memory:"))
        asks = {
            HTTP: through_http(client),
            SDK: through_sdk(vendor_client),
            BARE: partial(asked, vendor),
            **through_guards(on_sqlite),
            IN_MEMORY: through_service(on_sqlite, ledger=Ledger(memory)),
            ON_SQLITE: through_service(on_sqlite),
        }
        if server is None:
            yield asks, [on_sqlite]
        else:
            async with wired(ours, server) as on_postgres:
                yield asks | {ON_POSTGRES: through_service(on_postgres)}, [on_sqlite, on_postgres]
        await memory.close()


def connected(url: str) -> Model:
    """Return the vendor as the service reaches it, with the client that goes nowhere else; `wire` closes it."""
    config = ModelConfig.model_validate(
        {
            "name": "gpt",
            "provider": "openai-compatible",
            "model": stub.MODEL,
            "destination": "gpt",
            "max_output_tokens": CAP,
            "base_url": url,
            "private_network": True,
        }
    )
    model = connect(config, Settings(openai_compatible_api_key=SecretStr("none")), timeout=10)
    assert model is not None
    return model


@asynccontextmanager
async def wired(vendor: Model, database_url: str) -> AsyncGenerator[Wiring]:
    """Put a freshly generated project together, with its own constraints and the stub as its first model."""
    configure_logs(production=True, stream=StringIO())
    with TemporaryDirectory() as folder:
        project = find_project(generate(Path(folder)))
        constraints = ample(load_constraints(project.root))
        settings = Settings(env="production", database_url=database_url)
        async with wire(
            project, task=TASK, constraints=constraints, settings=settings, models={"gpt": vendor}
        ) as wiring:
            yield wiring


def ample(constraints: Constraints) -> Constraints:
    """Return the constraints of a project with money and places for a hundred requests at once."""
    cost, limits = constraints.cost.model_copy(update=AMPLE), constraints.limits.model_copy(update=WIDE)
    return constraints.model_copy(update={"cost": cost, "limits": limits})


@contextmanager
def postgresql() -> Generator[str | None]:
    """Run a server and name its database, or say why there is none."""
    sys.path.insert(0, str(TESTS))  # the tests know how to start a server
    servers = importlib.import_module("postgres_server")
    try:
        with servers.started_server() as server:
            yield server.url
    except servers.NoServer as reason:
        print(reason, file=sys.stderr)
        yield None


def through_http(client: AsyncClient) -> Ask:
    """Send what the SDK sends, and read nothing of the reply."""
    return lambda text: client.post(
        "/chat/completions",
        json={"model": stub.MODEL, "messages": [{"role": "user", "content": text}], "max_completion_tokens": CAP},
    )


def through_sdk(client: AsyncOpenAI) -> Ask:
    """Ask as a script does."""
    return lambda text: client.chat.completions.create(
        model=stub.MODEL, messages=[{"role": "user", "content": text}], max_completion_tokens=CAP
    )


def through_guards(wiring: Wiring) -> dict[str, Ask]:
    """Return the ways through the guards without the service around them: with none on, with all, with a cache."""

    def guarded(guard: Guard) -> Ask:
        return lambda text: asked(GuardedModel(guard, wiring.service.new_call(CALLER)), text)

    full = guard_of(wiring)
    cached = guarded(replace(full, reply_cache=ReplyCache(wiring.database, ttl_seconds=3600)))
    return {
        OFF: guarded(replace(without_redaction(full), ledger=Unbooked(wiring.database))),
        "guards alone, nothing redacted": guarded(without_redaction(full)),
        "guards alone": guarded(full),
        "guards alone, kept in the cache": cached,
        FOUND: lambda _: cached("What happens when the budget is used up?"),
    }


def through_service(wiring: Wiring, ledger: Ledger | None = None) -> Ask:
    """Ask the whole service: policy, guards, call log, and the money in its own database or in the ledger given."""
    service = replace(wiring.service, guard=replace(guard_of(wiring), ledger=ledger or wiring.ledger))
    return lambda text: service.answer(Text(text=text), service.new_call(CALLER))


def guard_of(wiring: Wiring) -> Guard:
    """Return the guard of a project, which sends every request, also one that it has sent before."""
    guard = wiring.service.guard
    assert guard is not None
    return replace(guard, reply_cache=ReplyCache(wiring.database, ttl_seconds=0))


def without_redaction(guard: Guard) -> Guard:
    """Return a guard that sends everything as it is."""
    constraints = guard.constraints
    open_to_all = {
        name: destination.model_copy(update={"redact": frozenset[str]()})
        for name, destination in constraints.destinations.items()
    }
    return replace(guard, constraints=constraints.model_copy(update={"destinations": open_to_all}))
