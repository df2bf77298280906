"""What happens when models fail: retries, queues, circuit breakers, useless replies, single flight, kill switch."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from chassis import Answered, Draft, Task
from chassis.contract import FallbackReason
from chassis.guard import circuit_breaker as breaker
from chassis.guard.request import Request
from chassis.guard.retry import BASE_DELAY_SECONDS, retry_delay
from chassis.store import kill_switch as kill_switch_module
from chassis.telemetry.instruments import NO_INSTRUMENTS
from chassis.testing import CONSTRAINTS, ScriptedModel, wire_for_tests
from chassis.wiring import Wiring
from pydantic_ai import Agent
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    RunCancelled,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage
from sample_task import TASK, Answer, Question
from scenario import run_scenario

pytestmark = pytest.mark.usefixtures("lines")

REFUSED = ModelConnectionError("first", "refused", phase="connect")


def rate_limited(retry_after: float | None) -> ModelAPIError:
    """Return a 429."""
    return ModelHTTPError.for_category(
        ModelRateLimitError, status_code=429, model_name="first", retry_after=retry_after
    )


async def ask(wiring: Wiring, caller: str = "alice", text: str = "ping") -> Any:
    """Ask the sample task."""
    return await wiring.service.answer(Question(text=text), wiring.service.new_call(caller))


async def answer_slowly(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
    """Answer after 0.2 s."""
    await asyncio.sleep(0.2)
    return ModelResponse([TextPart("slow")], finish_reason="stop")


# Retries


@pytest.mark.parametrize(
    ("error", "is_last", "least"),
    [
        (REFUSED, False, 0),
        (rate_limited(1.5), False, 1.5),
        (ModelHTTPError(408, "first"), False, 0),
        (ModelHTTPError(409, "first", headers={"Retry-After": "2"}), False, 2),
        (rate_limited(None), True, 0),
        (ModelHTTPError.for_category(None, status_code=409, model_name="first"), True, 0),
    ],
)
def test_the_retry_delay_is_retry_after_and_full_jitter(error: ModelAPIError, *, is_last: bool, least: float) -> None:
    """The jitter comes on top of the vendor's `Retry-After`, and its range doubles with each retry."""
    random.seed(1)
    for retry in range(3):
        delays = [retry_delay(error, retry, is_last=is_last) for _ in range(200)]
        max_jitter = BASE_DELAY_SECONDS * 2**retry

        assert all(delay is not None and least <= delay <= least + max_jitter for delay in delays)
        assert max(delay or 0 for delay in delays) > least + 0.9 * max_jitter
        assert min(delay or 0 for delay in delays) < least + 0.1 * max_jitter


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        ModelHTTPError(400, "first"),
        ModelHTTPError(401, "first"),
        ModelHTTPError.for_category(ModelQuotaExceededError, status_code=429, model_name="first", retry_after=1),
        ModelHTTPError(409, "first", headers={"x-should-retry": "false"}),
        ModelAPIError("first", "no JSON"),
    ],
)
def test_permanent_errors_are_not_retried(error: ModelAPIError, *, is_last: bool) -> None:
    """A rejected request, an exhausted quota and a vendor's `x-should-retry: false` are final."""
    assert retry_delay(error, 0, is_last=is_last) is None


def test_a_retry_is_a_second_attempt_of_the_same_model(tmp_path: Path) -> None:
    """A request that did not arrive is sent again, both attempts are recorded, and the reservation covers both."""
    first, second = ScriptedModel(REFUSED, "Four."), ScriptedModel("never")

    async def scenario(wiring: Wiring) -> Any:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="2 + 2?"), call)
        assert isinstance(outcome, Answered)
        assert wiring.service.guard is not None
        once = sum(candidate.worst_case(1) for candidate in wiring.service.guard.candidates)
        reserved = sum(candidate.worst_case_with_retries(1) for candidate in wiring.service.guard.candidates)
        return outcome.answered_by, [attempt.error for attempt in call.attempts], reserved / once

    assert run_scenario(tmp_path, [first, second], scenario, limits={"retries_per_model": 2}) == (
        "first",
        ["ModelConnectionError", None],
        3,
    )


@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2), (3, 4)])
def test_the_constraints_limit_retries(tmp_path: Path, retries: int, requests: int) -> None:
    """`limits.retries_per_model` says how often a request is sent again."""
    first = ScriptedModel(REFUSED)

    run_scenario(tmp_path, [first, ScriptedModel("ok")], ask, limits={"retries_per_model": retries})

    assert len(first.requests) == requests


def test_a_long_retry_after_leads_to_the_next_model(tmp_path: Path) -> None:
    """A delay that would use up the model's time budget is not waited for."""
    first, start = ScriptedModel(rate_limited(20)), time.monotonic()

    outcome = run_scenario(tmp_path, [first, ScriptedModel("ok")], ask, latency={"deadline_seconds": 50})

    assert (outcome.answered_by, len(first.requests)) == ("second", 1)
    assert time.monotonic() - start < 20


def test_a_vendor_that_is_down_is_retried_only_if_it_is_the_last(tmp_path: Path) -> None:
    """A first model gives way to the second at once; the only model is retried before the baseline answers."""
    down = ModelHTTPError.for_category(None, status_code=503, model_name="m")
    first, second = ScriptedModel(down), ScriptedModel("ok")

    run_scenario(tmp_path, [first, second], ask)

    assert (len(first.requests), len(second.requests)) == (1, 1)


# Concurrency limits


def test_a_model_with_a_full_queue_is_skipped(tmp_path: Path) -> None:
    """While one request runs and one waits, the third is answered by the next model."""
    first, second = ScriptedModel(answer_slowly), ScriptedModel("quick")

    async def scenario(wiring: Wiring) -> list[str]:
        return [outcome.answered_by for outcome in await asyncio.gather(*(ask(wiring) for _ in range(3)))]

    limits = {"concurrent_requests_per_model": 1, "queued_requests_per_model": 1}

    assert sorted(run_scenario(tmp_path, [first, second], scenario, limits=limits)) == ["first", "first", "second"]
    assert len(second.requests) == 1


def test_a_request_that_waits_too_long_goes_to_the_next_model(tmp_path: Path) -> None:
    """Waiting uses up the time budget of this model, but not that of the others."""

    async def hang(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def scenario(wiring: Wiring) -> tuple[list[str], float]:
        start = time.monotonic()
        outcomes = await asyncio.gather(*(ask(wiring) for _ in range(3)))
        return sorted(outcome.answered_by for outcome in outcomes), time.monotonic() - start

    limits = {"concurrent_requests_per_model": 1}
    answered_by, seconds = run_scenario(
        tmp_path, [ScriptedModel(hang), ScriptedModel("ok")], scenario, limits=limits, latency={"deadline_seconds": 4}
    )

    assert answered_by == ["second"] * 3
    assert seconds < 4


# Circuit breakers


def model_at(name: str, url: str) -> dict[str, Any]:
    """Return the configuration of a model at this address."""
    [first, _] = CONSTRAINTS["models"]
    return first | {"name": name, "provider": "openai-compatible", "base_url": url}


@pytest.mark.parametrize(
    "second_url", ["https://gpu-2.example.com/v1", "https://gpu-1.example.com:8000/v1", "https://example.com/v1"]
)
def test_an_unreachable_host_opens_its_own_circuit_breaker(tmp_path: Path, second_url: str) -> None:
    """Five refused connections stop everybody's requests to it; another host of the same destination is asked."""
    first, second = ScriptedModel(REFUSED), ScriptedModel("ok")
    models = [model_at("first", "https://gpu-1.example.com/v1"), model_at("second", second_url)]

    async def scenario(wiring: Wiring) -> set[str]:
        return {(await ask(wiring, f"caller-{number % 6}")).answered_by for number in range(8)}

    limits = {"retries_per_model": 0}

    assert run_scenario(tmp_path, [first, second], scenario, models=models, limits=limits) == {"second"}
    assert (len(first.requests), len(second.requests)) == (5, 8)


def test_models_at_one_host_share_its_circuit_breaker(tmp_path: Path) -> None:
    """What cannot be connected to for one model cannot be for the other."""
    first, second = ScriptedModel(REFUSED), ScriptedModel(REFUSED)
    models = [model_at(name, f"https://gpu.example.com/{name}/v1") for name in ("first", "second")]

    async def scenario(wiring: Wiring) -> None:
        for _ in range(8):
            await ask(wiring)

    run_scenario(tmp_path, [first, second], scenario, models=models, limits={"retries_per_model": 0})

    assert (len(first.requests), len(second.requests)) == (3, 2)


@pytest.mark.parametrize(
    "error",
    [
        ModelHTTPError(500, "first"),
        ModelHTTPError.for_category(ModelAuthenticationError, status_code=403, model_name="first"),
        ModelHTTPError(413, "first"),
        rate_limited(600),
        UnexpectedModelBehavior("unreadable"),
    ],
    ids=["500", "403, a filter", "413", "429, too large", "unreadable"],
)
def test_the_requests_of_one_caller_stop_only_that_caller(tmp_path: Path, error: Exception) -> None:
    """A caller whose every question makes a model fail is not sent to it any more; for all others it answers."""

    async def reply(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        if "poison" in str(messages):
            raise error
        return ModelResponse([TextPart("ok")], finish_reason="stop")

    first = ScriptedModel(reply)

    async def scenario(wiring: Wiring) -> tuple[list[str], list[str]]:
        for _ in range(5):
            await ask(wiring, "mallory", "poison")
        mallory = [(await ask(wiring, "mallory", text)).answered_by for text in ("poison", "ping")]
        return mallory, [(await ask(wiring, caller)).answered_by for caller in ("alice", "bob", "mallory")]

    assert run_scenario(tmp_path, [first, ScriptedModel("ok")], scenario, limits={"retries_per_model": 0}) == (
        ["second", "second"],
        ["first", "first", "first"],
    )


def test_the_failures_of_two_callers_stop_everybody(tmp_path: Path) -> None:
    """What fails for a second caller too is the model's fault; a third one is not kept waiting for it."""
    first = ScriptedModel(ModelHTTPError(500, "first"))

    async def scenario(wiring: Wiring) -> None:
        for caller in ["alice"] * 7 + ["bob"] * 3 + ["carol"] * 3:
            await ask(wiring, caller)

    run_scenario(tmp_path, [first, ScriptedModel("ok")], scenario, limits={"retries_per_model": 0})

    assert len(first.requests) == 5 + 1


@pytest.mark.parametrize(
    "error",
    [
        ModelHTTPError.for_category(ModelQuotaExceededError, status_code=429, model_name="first"),
        rate_limited(600),
        ModelHTTPError(503, "first", headers={"Retry-After": "600"}),
    ],
)
def test_a_failure_that_will_last_opens_the_circuit_breaker_at_once(tmp_path: Path, error: ModelAPIError) -> None:
    """An exhausted quota or a long `Retry-After` needs no five failures, and no probe after half a minute."""
    first = ScriptedModel(error)

    async def scenario(wiring: Wiring) -> float:
        for _ in range(3):
            await ask(wiring)
        assert wiring.service.guard is not None
        return (wiring.service.guard.candidates[0].breaker.open_until or 0) - time.monotonic()

    assert run_scenario(tmp_path, [first, ScriptedModel("ok")], scenario) == pytest.approx(
        600 if error.retry_after else 900, abs=5
    )
    assert len(first.requests) == 1


def test_a_cancelled_probe_makes_room_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who disconnects during the probe says nothing about the model, and must not block later probes."""
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.05)
    down = [ModelHTTPError(503, "first")] * 5
    first = ScriptedModel(*down, answer_slowly, "working again")

    async def scenario(wiring: Wiring) -> str:
        for _ in down:
            await ask(wiring)
        await asyncio.sleep(0.06)
        probe = asyncio.create_task(ask(wiring))
        while len(first.requests) == len(down):  # noqa: ASYNC110 - until the probe is sent
            await asyncio.sleep(0.01)
        probe.cancel()
        await asyncio.wait([probe])
        return (await ask(wiring)).answered_by

    assert run_scenario(tmp_path, [first, ScriptedModel("ok")], scenario) == "first"


# Useless replies


def structured_task(attempts: int = 1) -> Task[Any, Any]:
    """Return a task whose model must reply with a structured answer."""

    async def run(question: Question, model: Model) -> Draft[Answer]:
        return Draft((await Agent(model, output_type=Answer, retries=attempts).run(question.text)).output, confidence=1)

    return Task(name="echo", takes=Question, gives=Answer, run=run, baseline=TASK.baseline)


def structured_reply(**fields: Any) -> ModelResponse:
    """Return a reply with these fields."""
    return ModelResponse([ToolCallPart("final_result", fields)], finish_reason="tool_call")


def test_a_model_that_breaks_the_schema_is_replaced_by_the_next(tmp_path: Path) -> None:
    """After the retries of its agent the task starts again with the next model, and its replies leave the cache."""
    first, second = ScriptedModel(structured_reply(words=4)), ScriptedModel(structured_reply(text="Four."))

    async def scenario(wiring: Wiring) -> tuple[Any, Any, list[str | None], int]:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="2 + 2?"), call)
        again = await ask(wiring, text="2 + 2?")
        rows = await wiring.database.fetch("SELECT model FROM replies")
        return outcome, again.answered_by, [attempt.error for attempt in call.attempts], len(rows)

    outcome, again, errors, cached = run_scenario(
        tmp_path, [first, second], scenario, structured_task(), cache={"ttl_seconds": 60}
    )

    assert (outcome.answered_by, outcome.degraded, outcome.fallback_reason) == (
        "second",
        True,
        FallbackReason.MODELS_FAILED,
    )
    assert errors == ["UnexpectedModelBehavior", "UnexpectedModelBehavior", None]
    assert (again, len(first.requests), len(second.requests), cached) == ("second", 4, 1, 1)


def test_if_the_last_model_breaks_the_schema_the_baseline_answers(tmp_path: Path) -> None:
    """Without another model, `fallback.models_failed` decides."""
    outcome = run_scenario(tmp_path, [ScriptedModel(structured_reply(words=4))], ask, structured_task())

    assert (outcome.answered_by, outcome.fallback_reason) == ("baseline", FallbackReason.MODELS_FAILED)


@pytest.mark.parametrize("error", [UnexpectedModelBehavior("ours"), RunCancelled("ours"), ModelAPIError("x", "ours")])
def test_an_error_of_the_task_does_not_count_as_a_failure_of_a_model(tmp_path: Path, error: Exception) -> None:
    """What a task raises before any model has replied is a mistake in code and reaches the caller."""

    async def bug(_: Question, __: Model) -> Draft[Answer]:
        raise error

    broken = Task(name="echo", takes=Question, gives=Answer, run=bug, baseline=TASK.baseline)

    with pytest.raises(type(error), match="ours"):
        run_scenario(tmp_path, [ScriptedModel("ok")], ask, broken)


# Single flight


def test_equal_requests_in_flight_are_sent_once(tmp_path: Path) -> None:
    """Ten equal calls of one caller cost one request; another caller's call is sent separately."""
    first = ScriptedModel(answer_slowly)

    async def scenario(wiring: Wiring) -> list[int]:
        calls = [wiring.service.new_call(caller) for caller in ["alice"] * 10 + ["bob"]]
        await asyncio.gather(*(wiring.service.answer(Question(text="ping"), call) for call in calls))
        return sorted(call.cost for call in calls)

    costs = run_scenario(
        tmp_path, [first], scenario, cache={"ttl_seconds": 60}, limits={"concurrent_requests_per_model": 11}
    )

    assert len(first.requests) == 2
    assert costs[:9] == [0] * 9
    assert costs[-2] == costs[-1] > 0


def test_a_request_in_flight_survives_its_caller(tmp_path: Path) -> None:
    """When the caller whose request was sent disconnects, one of the waiting calls sends it again."""
    sent = asyncio.Event()

    async def answer_and_signal(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        sent.set()
        return await answer_slowly(messages, info)

    first = ScriptedModel(answer_and_signal)

    async def scenario(wiring: Wiring) -> list[str]:
        leaving, *staying = [asyncio.create_task(ask(wiring)) for _ in range(4)]
        await sent.wait()
        leaving.cancel()
        return [(await call).answered_by for call in staying]

    assert run_scenario(tmp_path, [first], scenario, cache={"ttl_seconds": 60}) == ["first"] * 3
    assert len(first.requests) == 2


def test_the_result_of_a_tool_is_part_of_the_request() -> None:
    """The time of a message makes no difference, but a `timestamp` that a tool returned was read by the model."""

    def asked(moment: str) -> list[ModelMessage]:
        return [ModelRequest([ToolReturnPart("clock", {"timestamp": moment}, tool_call_id="t1")])]

    requests = (Request(asked(moment), None, ModelRequestParameters()) for moment in ("noon", "noon", "midnight"))
    canonical = [request.canonical for request in requests]

    assert canonical[0] == canonical[1] != canonical[2]


# Kill switch


def test_the_kill_switch_works_in_every_replica_within_a_second(tmp_path: Path) -> None:
    """Of two services on one database neither asks a model any more, nor uses a cached reply."""
    models = [ScriptedModel("ok"), ScriptedModel("ok")]

    async def run() -> list[tuple[str, Any]]:
        rules = {"cache": {"ttl_seconds": 60}}
        async with (
            wire_for_tests(TASK, tmp_path, models[0], **rules) as one,
            wire_for_tests(TASK, tmp_path, models[1], **rules) as other,
        ):
            outcomes = [await ask(one), await ask(other)]
            await one.kill_switch.turn_off("alice", "it says bad things")
            await asyncio.sleep(kill_switch_module.REFRESH_SECONDS)
            outcomes += [await ask(one), await ask(other)]
            await other.kill_switch.turn_on()
            await asyncio.sleep(kill_switch_module.REFRESH_SECONDS)
            outcomes += [await ask(one)]
        return [(outcome.answered_by, outcome.fallback_reason) for outcome in outcomes]

    on, off = ("first", None), ("baseline", FallbackReason.MODELS_OFF)

    assert asyncio.run(run()) == [on, on, off, off, on]


class CountingDatabase:
    """A database that counts its queries."""

    def __init__(self, database: Any) -> None:
        self._database, self.queries = database, 0

    async def fetch(self, sql: str, *values: str) -> Any:
        """Fetch, and count."""
        self.queries += 1
        return await self._database.fetch(sql, *values)


def test_the_kill_switch_is_read_at_most_once_a_second(tmp_path: Path) -> None:
    """However often it is checked, the database is queried once a second."""

    async def scenario(wiring: Wiring) -> tuple[int, int]:
        database: Any = CountingDatabase(wiring.database)
        kill_switch = kill_switch_module.KillSwitch(database, NO_INSTRUMENTS)
        await asyncio.gather(*(kill_switch.is_off() for _ in range(50)))
        first = database.queries
        await asyncio.sleep(kill_switch_module.REFRESH_SECONDS)
        await asyncio.gather(*(kill_switch.is_off() for _ in range(50)))
        return first, database.queries

    assert run_scenario(tmp_path, [], scenario) == (1, 2)


def test_the_kill_switch_stops_a_task_that_makes_several_requests(tmp_path: Path) -> None:
    """It gets no further reply, and its question goes to the review queue."""
    halfway = asyncio.Event()

    async def two_steps(question: Question, model: Model) -> Draft[Answer]:
        await TASK.run(question, model)
        halfway.set()
        await asyncio.sleep(kill_switch_module.REFRESH_SECONDS)
        return await TASK.run(question, model)

    steady = Task(name="echo", takes=Question, gives=Answer, run=two_steps, baseline=TASK.baseline)
    first = ScriptedModel("ok")

    async def scenario(wiring: Wiring) -> Any:
        call = asyncio.create_task(ask(wiring, text="why?"))
        await halfway.wait()
        await wiring.kill_switch.turn_off("alice")
        return (await call).fallback_reason, [
            waiting.fallback_reason for waiting in await wiring.review_queue.open_referrals()
        ]

    assert run_scenario(tmp_path, [first], scenario, steady) == (FallbackReason.MODELS_OFF, [FallbackReason.MODELS_OFF])
    assert len(first.requests) == 1


@pytest.mark.parametrize("reply", [ModelHTTPError(429, "first"), "They are good."], ids=["fails", "answers"])
def test_the_kill_switch_stops_a_request_in_progress(tmp_path: Path, reply: Any) -> None:
    """No other model is asked, and a reply that still arrives is paid for, but neither used nor cached."""

    async def late(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        sent.set()
        await asyncio.sleep(kill_switch_module.REFRESH_SECONDS)
        if isinstance(reply, Exception):
            raise reply
        return ModelResponse([TextPart(reply)], usage=RequestUsage(input_tokens=10, output_tokens=5))

    sent = asyncio.Event()
    second = ScriptedModel("So they are.")

    async def scenario(wiring: Wiring) -> tuple[Any, list[tuple[int, int]], list[Any]]:
        call = asyncio.create_task(ask(wiring))
        await sent.wait()
        await wiring.kill_switch.turn_off("alice")
        outcome = await call
        balances = [(balance.reserved, balance.spent) for balance in await wiring.ledger.balances()]
        return outcome, balances, list(await wiring.database.fetch("SELECT * FROM replies"))

    outcome, balances, cached = run_scenario(
        tmp_path, [ScriptedModel(late), second], scenario, cache={"ttl_seconds": 60}
    )

    used = 600_000 if isinstance(reply, str) else 0
    assert (outcome.answered_by, outcome.fallback_reason) == ("baseline", FallbackReason.MODELS_OFF)
    assert (second.requests, balances, cached) == ([], [(0, used)] * 3, [])
