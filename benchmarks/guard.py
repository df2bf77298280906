"""What the guards add to one model request, against the vendor's SDK and pydantic-ai asking the same stub."""

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from io import StringIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from chassis import Draft, Task
from chassis.guard.chain import Guard
from chassis.guard.guarded import GuardedModel
from chassis.project import find_project
from chassis.settings import Settings
from chassis.store.replies import Replies
from chassis.telemetry.logs import configure_logs
from chassis.wiring import Wiring, wire
from httpx2 import AsyncClient
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from benchmarks import litellm_router, stub
from benchmarks.litellm_router import Router
from benchmarks.projects import generate
from benchmarks.rounds import Effort, cpu_seconds, lowest
from benchmarks.tables import Table, compared, python_version

FLOOR = "openai SDK"
CAP = 800
ROUTER, ROUTER_EVERY = "LiteLLM Router", 5
"""It runs in a process and an environment of its own, and takes its turn in every fifth round: it is slow."""
SQLITE = "sqlite:///var/service.db"
TESTS = Path(__file__).parents[1] / "template/chassis/tests"
CALLER = "bench"

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


def measure(effort: Effort) -> Table:
    """Send the same question through each contestant in turn."""
    with stub.running() as url, litellm_router.running(url, stub.MODEL) as router, postgresql() as server:
        costs = asyncio.run(_costs(url, effort, router, server))
    return Table(
        "One model request, through the guards and without them",
        f"{python_version()}; loopback stub, {stub.INPUT_TOKENS} tokens in, {stub.OUTPUT_TOKENS} out; SQLite where "
        f"nothing else is said, local spans, JSON log; least of {effort.bursts} rounds of {effort.calls} calls",
        compared({name: seconds * 1e6 for name, seconds in costs.items()}, "µs", FLOOR),
    )


async def _costs(url: str, effort: Effort, router: Router | None, server: str | None) -> dict[str, float]:
    client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0, timeout=10)
    vendor = OpenAIChatModel(stub.MODEL, provider=OpenAIProvider(openai_client=client))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(client)
        bare = await stack.enter_async_context(AsyncClient(base_url=url, timeout=10))
        wirings = [await stack.enter_async_context(wired(vendor, SQLITE))]
        asks = {
            "httpx2": through_http(bare),
            FLOOR: through_sdk(client),
            "pydantic-ai": partial(asked, vendor),
            **through_chassis(wirings[0]),
        }
        if server:
            wirings.append(await stack.enter_async_context(wired(vendor, server)))
            asks["guarded, on PostgreSQL"] = through_chassis(wirings[1])["guarded"]
        questions = (f"What happens when budget {number} is used up?" for number in count())

        async def burst(ask: Ask) -> float:
            before = cpu_seconds()
            for _ in range(effort.calls):
                await ask(next(questions))
            for wiring in wirings:
                wiring.telemetry.tracers.force_flush()  # spans are stored by a thread; each pays for its own
            return (cpu_seconds() - before) / effort.calls

        async def all_bursts() -> AsyncGenerator[tuple[str, float]]:
            for round_ in range(effort.bursts):
                for name, ask in asks.items():
                    yield name, await burst(ask)
                if router and round_ % ROUTER_EVERY == 0:
                    seconds, _ = await asyncio.to_thread(router.seconds, effort.calls)
                    yield ROUTER, seconds / effort.calls

        return lowest([figure async for figure in all_bursts()])


@contextmanager
def postgresql() -> Generator[str | None]:
    """Run a server and name its database, or say why there is none."""
    sys.path.insert(0, str(TESTS))  # the tests know how to start a server
    servers = importlib.import_module("servers")
    try:
        with servers.started_server() as server:
            yield server.url
    except servers.NoServer as reason:
        print(reason, file=sys.stderr)
        yield None


@asynccontextmanager
async def wired(vendor: Model, database_url: str) -> AsyncGenerator[Wiring]:
    """Put a freshly generated project together, with its own constraints and the stub as its first model."""
    configure_logs(production=True, stream=StringIO())
    with TemporaryDirectory() as folder:
        project = find_project(generate(Path(folder)))
        async with wire(
            project, task=TASK, settings=Settings(database_url=database_url), models={"gpt": vendor}
        ) as wiring:
            yield wiring


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


def through_chassis(wiring: Wiring) -> dict[str, Ask]:
    """Return the ways through the guards: all of them, without one, and with the whole service around."""
    service, guard = wiring.service, wiring.service.guard
    assert guard is not None

    def guarded(guard: Guard) -> Ask:
        return lambda text: asked(GuardedModel(guard, service.new_call(CALLER)), text)

    always_sent = replace(guard, replies=Replies(wiring.database, ttl_seconds=0))
    cached = guarded(guard)
    sending = replace(service, guard=always_sent)
    return {
        "guarded": guarded(always_sent),
        "guarded, nothing redacted": guarded(without_redaction(always_sent)),
        "guarded, kept in the cache": cached,
        "guarded, found in the cache": lambda _: cached("What happens when the budget is used up?"),
        "whole service": lambda text: sending.answer(Text(text=text), service.new_call(CALLER)),
    }


def without_redaction(guard: Guard) -> Guard:
    """Return a guard that sends everything as it is."""
    constraints = guard.constraints
    open_to_all = {
        name: destination.model_copy(update={"redact": frozenset[str]()})
        for name, destination in constraints.destinations.items()
    }
    return replace(guard, constraints=constraints.model_copy(update={"destinations": open_to_all}))


async def asked(model: Model, text: str) -> ModelResponse:
    """Ask a model in pydantic-ai's plainest way."""
    return await model_request(
        model, [ModelRequest.user_text_prompt(text)], model_settings=ModelSettings(max_tokens=CAP)
    )
