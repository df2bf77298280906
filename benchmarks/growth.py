"""How the cost of each thing that a request touches grows with its size: what a long history may not make slower."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from chassis.call import Call, Deadline
from chassis.contract import Answered, FallbackReason
from chassis.guard.model import GuardedModel
from chassis.money.accounts import Account
from chassis.money.ledger import Ledger
from chassis.search import Passage, Search
from chassis.store.call_history import CallHistory
from chassis.store.credentials import ApiKeys
from chassis.store.feedback import Feedback, FeedbackBox
from chassis.store.reply_cache import ReplyCache
from chassis.store.review_queue import ReviewQueue
from chassis.store.sqlite import SqliteDatabase
from chassis.telemetry.instruments import NO_INSTRUMENTS
from chassis.telemetry.local_traces import SpanStore
from chassis.web.middleware import RateLimiter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from benchmarks.contestants import CALLER, SQLITE, Text, asked, guard_of, wired
from benchmarks.rounds import Effort
from benchmarks.tables import Row, Table, goals, python_version

FLAT, LINEAR = 0.1, 1.1
"""The highest exponents of what must not grow and of what may grow with the text that it reads."""
EXPONENT = "exponent"
REPEATS, ENOUGH_MICROS = 30, 1e6
"""How often each cost is measured, unless that takes longer; the cheapest counts."""
HOT = [Account(key, 10**15, 60) for key in ("caller-day:alice:2026-11-23", "day:2026-11-23", "month:2026-11")]
LATER = "2099-01-01T00:00:00.000000+00:00"
WORDS = ("budget", "caller", "answer", "review", "deadline", "model", "ledger", "price", "reply", "limit", "trace")

type Work = Callable[[], Awaitable[object]]
type Prepare = Callable[[Path, int], AbstractAsyncContextManager[Work]]
"""Makes something of a size in a folder, and gives what a request does with it."""


@dataclass(frozen=True, slots=True)
class Growth:
    """One thing that may grow.

    Args:
        prepare: Makes it.
        sizes: The smallest and the largest, and some in between.
        goal: The highest exponent.
    """

    prepare: Prepare
    sizes: tuple[int, ...]
    goal: float = FLAT


def measure(effort: Effort) -> Table:
    """Measure each thing at each of its sizes; a quick round only at the two smallest."""
    costs = {name: dict(_costs(growth, quick=effort.rounds == 1)) for name, growth in GROWTHS.items()}
    rows = [_row(name, costs[name], growth.goal) for name, growth in GROWTHS.items()]
    return Table(
        "Cost against size",
        f"{python_version()}; SQLite; CPU time of what one request does, least of {REPEATS}; exponent: the power of "
        "the size with which the cost grows, 0 if it is flat and 1 if it is proportional",
        rows,
        goals(rows, EXPONENT),
    )


def _costs(growth: Growth, *, quick: bool) -> Iterator[tuple[int, float]]:
    for size in growth.sizes[:2] if quick else growth.sizes:
        with TemporaryDirectory() as folder:
            yield size, asyncio.run(_cost(growth.prepare, Path(folder), size))


async def _cost(prepare: Prepare, folder: Path, size: int) -> float:
    costs: list[float] = []
    async with prepare(folder, size) as work:
        while len(costs) < REPEATS and sum(costs) < ENOUGH_MICROS:
            costs.append(await _once(work))
    return min(costs)


async def _once(work: Work) -> float:
    before = time.process_time()
    await work()
    return (time.process_time() - before) * 1e6


def _row(name: str, costs: Mapping[int, float], goal: float) -> Row:
    small, large = min(costs), max(costs)
    ends = {"from": small, "µs": costs[small], "to": large, "µs then": costs[large]}
    return Row(name, {**ends, EXPONENT: exponent(costs), "goal": goal})


def _sentence(number: int) -> str:
    return " ".join(WORDS[number // divisor % len(WORDS)] + f"{number % divisor}" for divisor in (3, 17, 101, 1009))


def exponent(costs: Mapping[int, float]) -> float:
    """Return the slope of the regression line of the cost over the size, both on logarithmic scales."""
    points = [(math.log(size), math.log(cost)) for size, cost in costs.items()]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


@asynccontextmanager
async def passages(_: Path, size: int) -> AsyncGenerator[Work]:
    """Search that many passages, as the starter does."""
    index = Search([Passage("documents/a.md", (), (_sentence(number),)) for number in range(size)])

    async def find() -> None:
        index.find("What happens when the budget of a caller is used up?", limit=3)

    yield find


@asynccontextmanager
async def prompts(_: Path, size: int) -> AsyncGenerator[Work]:
    """Send a prompt of that many bytes through the guards, with everything redacted, to a model in this process."""

    def reply(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart("Yes.")], usage=RequestUsage(input_tokens=1, output_tokens=1))

    async with wired(FunctionModel(reply), SQLITE) as wiring:
        full = guard_of(wiring)
        cost = full.constraints.cost.model_copy(update={"per_request_usd": 10**3})
        guard = replace(full, constraints=full.constraints.model_copy(update={"cost": cost}))
        text = " ".join(_sentence(number) for number in range(size // 40))[:size]
        yield lambda: asked(GuardedModel(guard, wiring.service.new_call(CALLER)), text)


@asynccontextmanager
async def accounts(folder: Path, size: int) -> AsyncGenerator[Work]:
    """Reserve and settle next to that many accounts and open reservations."""
    async with _database(folder) as database:
        await _fill(database, "INSERT INTO accounts SELECT 'old:' || i, 0, 1", size)
        await _fill(database, "INSERT INTO reservations SELECT 'old' || i, '[]', 1, '2026-01-01'", size)
        ledger = Ledger(database)

        async def pair() -> None:
            await ledger.settle(await ledger.reserve(HOT, 100), 50)

        yield pair


@asynccontextmanager
async def referrals(folder: Path, size: int) -> AsyncGenerator[Work]:
    """Refer a question while that many have been answered."""
    columns = "id, task, caller, call_id, fallback_reason, question, created_at, due_at, answered_at"
    async with _database(folder) as database:
        statement = f"INSERT INTO referrals ({columns}) SELECT 'r' || i, 't', 'c', 'c', 'no_model', '', '', '', ''"
        await _fill(database, statement, size)
        queue = ReviewQueue(database, due_hours=8)

        async def refer() -> None:
            await queue.refer("help", CALLER, "c_1", FallbackReason.NO_MODEL, "{}", None)
            await queue.count_open()

        yield refer


@asynccontextmanager
async def keys(folder: Path, size: int) -> AsyncGenerator[Work]:
    """Find the caller of one of that many keys."""
    async with _database(folder) as database:
        await _fill(
            database, "INSERT INTO api_keys (id, hash, caller, created_at) SELECT 'k' || i, i, 'c' || i, ''", size
        )
        api_keys = ApiKeys(database)
        key = await api_keys.create(CALLER)
        yield lambda: api_keys.find_caller(key)


@asynccontextmanager
async def replies(folder: Path, size: int) -> AsyncGenerator[Work]:
    """Look for a reply among that many, and store one."""
    async with _database(folder) as database:
        await _fill(database, f"INSERT INTO replies SELECT 'old' || i, 'gpt', '{{}}', '{LATER}'", size)
        cache, numbers = ReplyCache(database, ttl_seconds=3600), count()

        async def look_and_store() -> None:
            key = f"key {next(numbers)}"
            await cache.find(key)
            await cache.store(key, "gpt", "{}")

        yield look_and_store


@asynccontextmanager
async def callers(_: Path, size: int) -> AsyncGenerator[Work]:
    """Count a call of one of that many callers against its rate limit."""
    limiter = RateLimiter(per_minute=10**6)
    for number in range(size):
        limiter.check(f"caller {number}")

    async def check() -> None:
        limiter.check(CALLER)

    yield check


@asynccontextmanager
async def spans(folder: Path, size: int) -> AsyncGenerator[Work]:
    """Store a span, and delete the oldest, in a file of that many."""
    store, provider = SpanStore(folder / "traces.db", keep=size), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(store))
    tracer = provider.get_tracer("growth")

    async def record() -> None:
        tracer.start_span("call").end()

    for _ in range(size):
        await record()
    yield record
    provider.shutdown()


@asynccontextmanager
async def calls(folder: Path, size: int) -> AsyncGenerator[Work]:
    """Keep an answer next to that many, and store its caller's feedback next to as many more."""
    async with _database(folder) as database:
        columns = "id, task, caller, answered_by, confidence, question, answer, answered_at"
        await _fill(
            database,
            f"INSERT INTO calls ({columns}) SELECT 'c' || i, 't', 'c', 'gpt', 1, '{{}}', '{{}}', '{LATER}'",
            size,
        )
        await _fill(
            database,
            "INSERT INTO feedback (call_id, caller, verdict, comment, received_at)"
            f" SELECT 'c' || i, 'c', 'positive', '', '{LATER}'",
            size,
        )
        history = CallHistory(database, keep_answers=True)
        box = FeedbackBox(database, history, ReviewQueue(database, due_hours=8), NO_INSTRUMENTS, refer_negative=False)
        outcome = Answered(Text(text="Yes."), "gpt", 1, degraded=False, fallback_reason=None)
        numbers = count()

        async def keep_and_rate() -> None:
            call = Call(f"c_{next(numbers)}", CALLER, Deadline.after(5), 3)
            history.add("help", call, Text(text="Is it?"), outcome)
            await box.record(call.id, CALLER, Feedback(verdict="positive"))

        yield keep_and_rate


GROWTHS = {
    "passages that are searched": Growth(passages, (100, 1_000, 10_000, 100_000), LINEAR),
    "bytes of a prompt": Growth(prompts, (1_000, 10_000, 100_000, 1_000_000), LINEAR),
    "accounts, and reservations": Growth(accounts, (100, 10_000, 1_000_000)),
    "answered referrals": Growth(referrals, (100, 1_000, 10_000, 100_000)),
    "kept answers, and feedback": Growth(calls, (100, 1_000, 10_000, 100_000)),
    "API keys": Growth(keys, (100, 1_000, 10_000, 100_000)),
    "cached replies": Growth(replies, (100, 1_000, 10_000, 100_000)),
    "callers of one process": Growth(callers, (100, 1_000, 10_000, 100_000)),
    "stored spans": Growth(spans, (100, 1_000, 10_000)),
}


@asynccontextmanager
async def _database(folder: Path) -> AsyncGenerator[SqliteDatabase]:
    database = await SqliteDatabase.open(folder / "service.db")
    yield database
    await database.close()


async def _fill(database: SqliteDatabase, insert: str, size: int) -> None:
    """Insert rows numbered `i`."""
    numbers = "SELECT 1 AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < $1"
    into, _, values = insert.partition(" SELECT ")
    await database.execute(f"WITH RECURSIVE numbers AS ({numbers}) {into} SELECT {values} FROM numbers", size)  # noqa: S608
