"""What the walk does about models that fail: asks again, asks the next, waits in line, lets rest, switches off."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import (
    ModelAPIError,
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
from scenario import walk

from chassis import Answered, Draft, Task
from chassis.contract import FallbackReason
from chassis.guard import circuit_breaker as breaker
from chassis.guard.request import Request
from chassis.guard.retry import BASE_DELAY_SECONDS, retry_delay
from chassis.store import kill_switch as switch
from chassis.telemetry.instruments import NO_INSTRUMENTS
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.wiring import Wiring

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


async def slowly(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
    """Answer after a while."""
    await asyncio.sleep(0.2)
    return ModelResponse([TextPart("slow")], finish_reason="stop")


# Again


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
def test_a_retry_comes_after_what_the_vendor_asks_and_a_random_pause(
    error: ModelAPIError, *, is_last: bool, least: float
) -> None:
    """Full jitter on top of `Retry-After`; the range of the jitter doubles."""
    random.seed(1)
    for retry in range(3):
        pauses = [retry_delay(error, retry, is_last=is_last) for _ in range(200)]
        most = BASE_DELAY_SECONDS * 2**retry

        assert all(pause is not None and least <= pause <= least + most for pause in pauses)
        assert max(pause or 0 for pause in pauses) > least + 0.9 * most
        assert min(pause or 0 for pause in pauses) < least + 0.1 * most


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
def test_what_would_fail_again_is_not_sent_again(error: ModelAPIError, *, is_last: bool) -> None:
    """A rejected request, an empty account and a vendor's own word are final."""
    assert retry_delay(error, 0, is_last=is_last) is None


def test_a_retry_is_another_attempt_of_the_same_model(tmp_path: Path) -> None:
    """A request that never arrived is sent again, each attempt is written down, and the hold covered both."""
    first, second = ScriptedModel(REFUSED, "Four."), ScriptedModel("never")

    async def tell(wiring: Wiring) -> Any:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="2 + 2?"), call)
        assert isinstance(outcome, Answered)
        assert wiring.service.guard is not None
        worst = sum(link.worst_case(1) for link in wiring.service.guard.candidates)
        held = sum(link.worst_case_with_retries(1) for link in wiring.service.guard.candidates)
        return outcome.answered_by, [attempt.error for attempt in call.attempts], held / worst

    assert walk(tmp_path, [first, second], tell, limits={"retries_per_model": 2}) == (
        "first",
        ["ModelConnectionError", None],
        3,
    )


@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2), (3, 4)])
def test_retries_are_as_many_as_declared(tmp_path: Path, retries: int, requests: int) -> None:
    """`limits.retries_per_model` is the one place that says how often."""
    first = ScriptedModel(REFUSED)

    walk(tmp_path, [first, ScriptedModel("ok")], ask, limits={"retries_per_model": retries})

    assert len(first.requests) == requests


def test_a_long_retry_after_is_left_to_the_next_model(tmp_path: Path) -> None:
    """Where waiting would use up the model's share of the deadline, nobody waits."""
    first, began = ScriptedModel(rate_limited(2)), time.monotonic()

    outcome = walk(tmp_path, [first, ScriptedModel("ok")], ask, latency={"deadline_seconds": 5})

    assert (outcome.answered_by, len(first.requests)) == ("second", 1)
    assert time.monotonic() - began < 2


def test_a_vendor_that_is_down_is_asked_again_only_where_it_is_the_last(tmp_path: Path) -> None:
    """With a second model the first is left at once; alone it is worth another try before the baseline."""
    down = ModelHTTPError.for_category(None, status_code=503, model_name="m")
    first, second = ScriptedModel(down), ScriptedModel("ok")

    walk(tmp_path, [first, second], ask)

    assert (len(first.requests), len(second.requests)) == (1, 1)


# In line


def test_a_crowded_model_is_passed_over(tmp_path: Path) -> None:
    """One request at a time, one that waits: the third call is answered by the next model."""
    first, second = ScriptedModel(slowly), ScriptedModel("quick")

    async def tell(wiring: Wiring) -> list[str]:
        return [outcome.answered_by for outcome in await asyncio.gather(*(ask(wiring) for _ in range(3)))]

    limits = {"concurrent_requests_per_model": 1, "queued_requests_per_model": 1}

    assert sorted(walk(tmp_path, [first, second], tell, limits=limits)) == ["first", "first", "second"]
    assert len(second.requests) == 1


def test_who_waits_too_long_for_a_model_goes_on(tmp_path: Path) -> None:
    """Waiting uses up the model's share of the deadline, never the others'."""

    async def hang(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def tell(wiring: Wiring) -> tuple[list[str], float]:
        began = time.monotonic()
        outcomes = await asyncio.gather(*(ask(wiring) for _ in range(3)))
        return sorted(outcome.answered_by for outcome in outcomes), time.monotonic() - began

    limits = {"concurrent_requests_per_model": 1}
    answered_by, seconds = walk(
        tmp_path, [ScriptedModel(hang), ScriptedModel("ok")], tell, limits=limits, latency={"deadline_seconds": 4}
    )

    assert answered_by == ["second"] * 3
    assert seconds < 4


# At rest


def test_a_destination_that_cannot_be_reached_rests_as_a_whole(tmp_path: Path) -> None:
    """Five refused connections to one address are enough for every model there; another destination is still asked."""
    first, second = ScriptedModel(REFUSED), ScriptedModel("ok")
    models = [
        {"name": name, "provider": "openai", "model": name, "destination": place, "max_output_tokens": 100}
        | {"input_usd_per_million": 10, "output_usd_per_million": 100}
        for name, place in (("first", "here"), ("second", "there"))
    ]
    places = {place: {"classes": ["internal"], "redact": []} for place in ("here", "there")}

    async def tell(wiring: Wiring) -> set[str]:
        return {(await ask(wiring)).answered_by for _ in range(8)}

    limits = {"retries_per_model": 0}

    assert walk(tmp_path, [first, second], tell, models=models, destinations=places, limits=limits) == {"second"}
    assert (len(first.requests), len(second.requests)) == (5, 8)


@pytest.mark.parametrize(
    "error",
    [
        ModelHTTPError.for_category(ModelQuotaExceededError, status_code=429, model_name="first"),
        rate_limited(600),
        ModelHTTPError(503, "first", headers={"Retry-After": "600"}),
    ],
)
def test_a_model_that_is_known_to_be_of_no_use_rests_at_once(tmp_path: Path, error: ModelAPIError) -> None:
    """An account without quota and a long `Retry-After` need no five failures, and no probe after half a minute."""
    first = ScriptedModel(error)

    async def tell(wiring: Wiring) -> float:
        for _ in range(3):
            await ask(wiring)
        assert wiring.service.guard is not None
        return (wiring.service.guard.candidates[0].breaker.open_until or 0) - time.monotonic()

    assert walk(tmp_path, [first, ScriptedModel("ok")], tell) == pytest.approx(600 if error.retry_after else 900, abs=5)
    assert len(first.requests) == 1


def test_a_probe_that_hangs_up_leaves_room_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who leaves while their request is the probe says nothing about the model, and blocks nobody."""
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.05)
    down = [ModelHTTPError(503, "first")] * 5
    first = ScriptedModel(*down, slowly, "well again")

    async def tell(wiring: Wiring) -> str:
        for _ in down:
            await ask(wiring)
        await asyncio.sleep(0.06)
        probe = asyncio.create_task(ask(wiring))
        while len(first.requests) == len(down):  # noqa: ASYNC110 - until the probe is on its way
            await asyncio.sleep(0.01)
        probe.cancel()
        await asyncio.wait([probe])
        return (await ask(wiring)).answered_by

    assert walk(tmp_path, [first, ScriptedModel("ok")], tell) == "first"


# Replies that are of no use


def in_a_form(attempts: int = 1) -> Task[Any, Any]:
    """Return a task whose model must fill in a form."""

    async def run(question: Question, model: Model) -> Draft[Answer]:
        return Draft((await Agent(model, output_type=Answer, retries=attempts).run(question.text)).output, confidence=1)

    return Task(name="echo", takes=Question, gives=Answer, run=run, baseline=TASK.baseline)


def filled_in(**form: Any) -> ModelResponse:
    """Return a reply that fills in the form."""
    return ModelResponse([ToolCallPart("final_result", form)], finish_reason="tool_call")


def test_a_model_that_breaks_the_schema_gives_way_to_the_next(tmp_path: Path) -> None:
    """It may mend its answer as often as its agent lets it; then the next begins afresh, and the cache forgets."""
    first, second = ScriptedModel(filled_in(words=4)), ScriptedModel(filled_in(text="Four."))

    async def tell(wiring: Wiring) -> tuple[Any, Any, list[str | None], int]:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="2 + 2?"), call)
        again = await ask(wiring, text="2 + 2?")
        rows = await wiring.database.fetch("SELECT model FROM replies")
        return outcome, again.answered_by, [attempt.error for attempt in call.attempts], len(rows)

    outcome, again, errors, kept = walk(tmp_path, [first, second], tell, in_a_form(), cache={"ttl_seconds": 60})

    assert (outcome.answered_by, outcome.degraded, outcome.fallback_reason) == (
        "second",
        True,
        FallbackReason.MODELS_FAILED,
    )
    assert errors == ["UnexpectedModelBehavior", "UnexpectedModelBehavior", None]
    assert (again, len(first.requests), len(second.requests), kept) == ("second", 4, 1, 1)


def test_the_last_model_that_breaks_the_schema_leaves_it_to_the_baseline(tmp_path: Path) -> None:
    """Where no other model is left, `fallback.models_failed` decides."""
    outcome = walk(tmp_path, [ScriptedModel(filled_in(words=4))], ask, in_a_form())

    assert (outcome.answered_by, outcome.fallback_reason) == ("baseline", FallbackReason.MODELS_FAILED)


@pytest.mark.parametrize("error", [UnexpectedModelBehavior("ours"), RunCancelled("ours"), ModelAPIError("x", "ours")])
def test_an_error_that_no_model_made_is_not_laid_at_a_model_s_door(tmp_path: Path, error: Exception) -> None:
    """Whatever a task raises before any model has replied is a mistake in code, and stays one."""

    async def bug(_: Question, __: Model) -> Draft[Answer]:
        raise error

    broken = Task(name="echo", takes=Question, gives=Answer, run=bug, baseline=TASK.baseline)

    with pytest.raises(type(error), match="ours"):
        walk(tmp_path, [ScriptedModel("ok")], ask, broken)


# Once


def test_the_same_request_in_flight_is_sent_once(tmp_path: Path) -> None:
    """Ten equal calls of one caller cost one request; another caller's is their own."""
    first = ScriptedModel(slowly)

    async def tell(wiring: Wiring) -> list[int]:
        calls = [wiring.service.new_call(caller) for caller in ["alice"] * 10 + ["bob"]]
        await asyncio.gather(*(wiring.service.answer(Question(text="ping"), call) for call in calls))
        return sorted(call.cost for call in calls)

    costs = walk(tmp_path, [first], tell, cache={"ttl_seconds": 60}, limits={"concurrent_requests_per_model": 11})

    assert len(first.requests) == 2
    assert costs[:9] == [0] * 9
    assert costs[-2] == costs[-1] > 0


def test_a_request_in_flight_is_not_lost_with_its_caller(tmp_path: Path) -> None:
    """When the caller whose request was sent hangs up, one of those who wait sends it again."""
    sent = asyncio.Event()

    async def slow_to_answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        sent.set()
        return await slowly(messages, info)

    first = ScriptedModel(slow_to_answer)

    async def tell(wiring: Wiring) -> list[str]:
        leaving, *staying = [asyncio.create_task(ask(wiring)) for _ in range(4)]
        await sent.wait()
        leaving.cancel()
        return [(await call).answered_by for call in staying]

    assert walk(tmp_path, [first], tell, cache={"ttl_seconds": 60}) == ["first"] * 3
    assert len(first.requests) == 2


def test_what_a_tool_is_given_is_part_of_the_request() -> None:
    """A time in a message passes; a `timestamp` that a tool returned is something that the model has read."""

    def asked(moment: str) -> list[ModelMessage]:
        return [ModelRequest([ToolReturnPart("clock", {"timestamp": moment}, tool_call_id="t1")])]

    requests = (Request(asked(moment), None, ModelRequestParameters()) for moment in ("noon", "noon", "midnight"))
    sent = [request.canonical for request in requests]

    assert sent[0] == sent[1] != sent[2]


# Off


def test_the_switch_takes_the_models_out_of_every_replica_within_a_second(tmp_path: Path) -> None:
    """Two services on one database: a second after the switch no model answers, not even from the cache."""
    models = [ScriptedModel("ok"), ScriptedModel("ok")]

    async def run() -> list[tuple[str, Any]]:
        rules = {"cache": {"ttl_seconds": 60}}
        async with (
            wire_for_tests(TASK, tmp_path, models[0], **rules) as one,
            wire_for_tests(TASK, tmp_path, models[1], **rules) as other,
        ):
            seen = [await ask(one), await ask(other)]
            await one.kill_switch.turn_off("alice", "it says bad things")
            await asyncio.sleep(switch.REFRESH_SECONDS)
            seen += [await ask(one), await ask(other)]
            await other.kill_switch.turn_on()
            await asyncio.sleep(switch.REFRESH_SECONDS)
            seen += [await ask(one)]
        return [(outcome.answered_by, outcome.fallback_reason) for outcome in seen]

    on, off = ("first", None), ("baseline", FallbackReason.MODELS_OFF)

    assert asyncio.run(run()) == [on, on, off, off, on]


class Counting:
    """A database that counts what it is asked for."""

    def __init__(self, database: Any) -> None:
        self._database, self.asked = database, 0

    async def fetch(self, sql: str, *values: str) -> Any:
        """Fetch, and count."""
        self.asked += 1
        return await self._database.fetch(sql, *values)


def test_the_switch_is_read_at_most_once_a_second(tmp_path: Path) -> None:
    """However often it is looked at, the database is asked once a second."""

    async def tell(wiring: Wiring) -> tuple[int, int]:
        database: Any = Counting(wiring.database)
        watched = switch.KillSwitch(database, NO_INSTRUMENTS)
        await asyncio.gather(*(watched.is_off() for _ in range(50)))
        first = database.asked
        await asyncio.sleep(switch.REFRESH_SECONDS)
        await asyncio.gather(*(watched.is_off() for _ in range(50)))
        return first, database.asked

    assert walk(tmp_path, [], tell) == (1, 2)


def test_a_loop_stops_when_the_models_are_switched_off(tmp_path: Path) -> None:
    """A task that is in the middle of its work gets no further reply; the desk carries on."""
    halfway = asyncio.Event()

    async def two_steps(question: Question, model: Model) -> Draft[Answer]:
        await TASK.run(question, model)
        halfway.set()
        await asyncio.sleep(switch.REFRESH_SECONDS)
        return await TASK.run(question, model)

    steady = Task(name="echo", takes=Question, gives=Answer, run=two_steps, baseline=TASK.baseline)
    first = ScriptedModel("ok")

    async def tell(wiring: Wiring) -> Any:
        call = asyncio.create_task(ask(wiring, text="why?"))
        await halfway.wait()
        await wiring.kill_switch.turn_off("alice")
        return (await call).fallback_reason, [
            waiting.fallback_reason for waiting in await wiring.review_queue.open_referrals()
        ]

    assert walk(tmp_path, [first], tell, steady) == (FallbackReason.MODELS_OFF, [FallbackReason.MODELS_OFF])
    assert len(first.requests) == 1


@pytest.mark.parametrize("ending", [ModelHTTPError(503, "first"), "They are good."], ids=["fails", "answers"])
def test_a_walk_under_way_ends_when_the_models_are_switched_off(tmp_path: Path, ending: Any) -> None:
    """After a second no other model is asked, and what the first one then says is paid for, kept back and forgotten."""

    async def late(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        under_way.set()
        await asyncio.sleep(switch.REFRESH_SECONDS)
        if isinstance(ending, Exception):
            raise ending
        return ModelResponse([TextPart(ending)], usage=RequestUsage(input_tokens=10, output_tokens=5))

    under_way = asyncio.Event()
    second = ScriptedModel("So they are.")

    async def tell(wiring: Wiring) -> tuple[Any, list[tuple[int, int]], list[Any]]:
        call = asyncio.create_task(ask(wiring))
        await under_way.wait()
        await wiring.kill_switch.turn_off("alice")
        outcome = await call
        balances = [(balance.reserved, balance.spent) for balance in await wiring.ledger.balances()]
        return outcome, balances, list(await wiring.database.fetch("SELECT * FROM replies"))

    outcome, balances, kept = walk(tmp_path, [ScriptedModel(late), second], tell, cache={"ttl_seconds": 60})

    used = 600_000 * isinstance(ending, str)
    assert (outcome.answered_by, outcome.fallback_reason) == ("baseline", FallbackReason.MODELS_OFF)
    assert (second.requests, balances, kept) == ([], [(0, used)] * 3, [])
