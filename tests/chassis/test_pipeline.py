"""The order of the pipeline: each test fails if its step is moved, left out or does nothing."""

import asyncio
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import chassis
import httpx2
import pytest
from chassis import Draft, Task
from chassis.clock import now
from chassis.errors import ModelsFailed
from chassis.guard.egress import VendorModel
from chassis.guard.failures import EmptyReply
from chassis.service import Service
from chassis.store import reply_cache
from chassis.testing import CONSTRAINTS, ScriptedModel
from chassis.usd import nano_usd
from chassis.wiring import Wiring
from pydantic_ai import Agent
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelServerError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.settings import ModelSettings
from sample_task import TASK, Answer, Question
from scenario import run_scenario
from telemetry_sinks import stored

CACHED = {"ttl_seconds": 60}
SOURCE = Path(chassis.__file__).parent
MAX_FRAMES = 16
"""How many frames of the chassis the stack may have from `Service.answer` to a vendor."""


async def ask(wiring: Wiring, text: str = "2 + 2?") -> Any:
    """Ask as Alice."""
    return await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))


def with_settings(**settings: Any) -> Task[Any, Any]:
    """Return a task that sends these model settings."""

    async def run(question: Question, model: Model) -> Draft[Answer]:
        agent = Agent(model, model_settings=ModelSettings(**settings))
        return Draft(Answer(text=(await agent.run(question.text)).output), confidence=1)

    return Task(name="echo", takes=Question, gives=Answer, run=run, baseline=TASK.baseline)


def chain_of(**changes_of_second: Any) -> list[dict[str, Any]]:
    """Return the configuration of the two models of the tests, with changes of the second."""
    first, second = CONSTRAINTS["models"]
    return [first, second | changes_of_second]


@pytest.mark.parametrize("ttl_seconds", [0, 60], ids=["cache off", "cache on"])
def test_a_call_is_few_frames_away_from_its_vendor(tmp_path: Path, ttl_seconds: int) -> None:
    """The stack of a guarded request can be read: a few frames of the service, and one for each step."""
    frames: list[str] = []

    async def ask_directly(
        question: Question, model: Model
    ) -> Draft[Answer]:  # an agent would begin a stack of its own
        response = await model_request(model, [ModelRequest.user_text_prompt(question.text)])
        return Draft(Answer(text=str(response.text)), confidence=1)

    async def look_back(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        stack = [frame.f_code for frame, _ in traceback.walk_stack(None)]
        until_call = stack[: stack.index(Service[Any, Any].answer.__code__) + 1]
        frames.extend(code.co_qualname for code in until_call if Path(code.co_filename).is_relative_to(SOURCE))
        return ModelResponse([TextPart("Four.")])

    model = VendorModel(FunctionModel(look_back), httpx2.AsyncClient())
    run_scenario(tmp_path, [model], ask, replace(TASK, run=ask_directly), cache={"ttl_seconds": ttl_seconds})

    assert frames[0] == "VendorModel.request"
    assert frames[-1] == "Service.answer"
    assert len(frames) <= MAX_FRAMES, frames


def test_the_cache_stores_placeholders(tmp_path: Path) -> None:
    """It comes after the redaction, so it contains no values, and each reply that is reused gets the call's own."""

    async def story(wiring: Wiring) -> tuple[list[str], str]:
        answers = [(await ask(wiring, "I am ada@example.com")).value.text for _ in range(2)]
        [row] = await wiring.database.fetch("SELECT reply FROM replies")
        return answers, row["reply"]

    model = ScriptedModel("Hello [EMAIL_1].")
    answers, cached = run_scenario(tmp_path, [model], story, cache=CACHED)

    assert answers == ["Hello ada@example.com."] * 2
    assert len(model.requests) == 1
    assert "[EMAIL_1]" in cached
    assert "ada@example.com" not in cached


def test_a_hanging_model_opens_its_circuit_breaker(tmp_path: Path) -> None:
    """The timeout comes after the circuit breaker, so that a timeout counts as a failure."""

    async def hang(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def story(wiring: Wiring) -> list[str]:
        return [(await ask(wiring, f"{number} + 2?")).answered_by for number in range(7)]

    first = ScriptedModel(hang)
    answerers = run_scenario(
        tmp_path, [first, ScriptedModel("Four.")], story, latency={"deadline_seconds": 0.6, "p95_seconds": 0.6}
    )

    assert answerers[-1] == "second"
    assert len(first.requests) == 5


@pytest.mark.parametrize(("wanted", "sent"), [(None, 100), (5_000, 100), (7, 7)])
def test_every_request_has_an_output_cap(tmp_path: Path, wanted: int | None, sent: int) -> None:
    """A task can only lower `max_output_tokens`, because the reservation is computed from it."""
    caps: list[int | None] = []

    async def record_cap(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        caps.append((info.model_settings or {}).get("max_tokens"))
        return ModelResponse([TextPart("Four.")])

    run_scenario(
        tmp_path, [ScriptedModel(record_cap)], ask, with_settings(**({"max_tokens": wanted} if wanted else {}))
    )

    assert caps == [sent]


def test_a_self_hosted_model_continues_the_trace(tmp_path: Path) -> None:
    """It gets the id of the request's own span as the parent; other vendors get no ids."""
    headers: list[dict[str, str]] = []

    async def record_headers(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        headers.append((info.model_settings or {}).get("extra_headers", {}))
        raise ModelServerError("scripted", "down")

    first, second = CONSTRAINTS["models"]
    self_hosted = second | {"provider": "openai-compatible", "base_url": "https://gpu.example.com/v1"}
    doubles: list[Model] = [ScriptedModel(record_headers), ScriptedModel(record_headers)]
    limits = {"retries_per_model": 0}
    run_scenario(tmp_path, doubles, ask, models=[first, self_hosted], limits=limits)

    [parent] = [span for span in stored(tmp_path / "var") if span.name == "chat second"]
    assert headers[0] == {}
    assert headers[1]["traceparent"].split("-")[1:3] == [parent.trace_id, parent.span_id]


class AddsMessage(ScriptedModel):
    """A model that adds a message to every conversation."""

    def prepare_messages(
        self,
        messages: list[ModelMessage],
        model_request_parameters: ModelRequestParameters | None = None,  # noqa: ARG002 - as pydantic-ai's own
    ) -> list[ModelMessage]:
        """Add the message."""
        return [*messages, ModelRequest([UserPromptPart("Be brief.")])]


def test_messages_are_prepared_for_each_model(tmp_path: Path) -> None:
    """The messages for one model do not reach another, and a retry does not prepare them again."""
    first, second = (
        ScriptedModel(ModelServerError("first", "down")),
        AddsMessage(ModelServerError("second", "down"), "Four."),
    )

    run_scenario(tmp_path, [first, second], ask)

    assert [len(messages) for messages in first.requests] == [1]
    assert [len(messages) for messages in second.requests] == [2, 2]


def test_a_task_can_shorten_the_timeout(tmp_path: Path) -> None:
    """Its `request_timeout` applies to each model; without it, the first one would have answered in time."""

    async def answer_late(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(1)
        return ModelResponse([TextPart("Four.")])

    outcome = run_scenario(
        tmp_path, [ScriptedModel(answer_late), ScriptedModel("Four.")], ask, with_settings(request_timeout=0.05)
    )

    assert outcome.answered_by == "second"


def test_the_failure_of_each_model_is_reported(tmp_path: Path) -> None:
    """The cause of `ModelsFailed` is a group with the failure of each model, in the order of the chain."""
    first, second = ScriptedModel(ModelServerError("first", "down")), ScriptedModel("")

    with pytest.raises(ModelsFailed) as refusal:
        run_scenario(tmp_path, [first, second], ask, fallback={"models_failed": "error"})

    cause = refusal.value.__cause__
    assert isinstance(cause, ExceptionGroup)
    failures = cast("ExceptionGroup[Exception]", cause).exceptions
    assert [type(failure) for failure in failures] == [ModelServerError, EmptyReply]


def test_the_task_never_sees_an_unusable_reply(tmp_path: Path) -> None:
    """A truncated reply reads like an answer; the next model is asked instead."""
    cut_off = ScriptedModel(ModelResponse([TextPart("Four and")], finish_reason="length"))

    outcome = run_scenario(tmp_path, [cut_off, ScriptedModel("Four.")], ask)

    assert (outcome.answered_by, outcome.value.text, len(cut_off.requests)) == ("second", "Four.", 1)


def test_the_reservation_covers_every_model_and_every_retry(tmp_path: Path) -> None:
    """While the cheap first model is asked, the money to ask the expensive second one twice is already reserved."""
    reserved: list[int] = []

    async def story(wiring: Wiring) -> None:
        async def record_balances(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
            reserved.extend(balance.reserved for balance in await wiring.ledger.balances())
            return ModelResponse([TextPart("Four.")])

        # The wiring has to exist before the reply that reads it.
        first._replies[:] = [record_balances]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        await ask(wiring)

    first = ScriptedModel("Four.")
    expensive_second = chain_of(input_usd_per_million=100, output_usd_per_million=1_000)
    run_scenario(tmp_path, [first, ScriptedModel("Four.")], story, models=expensive_second)

    output_of_both = nano_usd(2 * 100 * (100 + 1_000) / 1e6)
    assert len(reserved) == 3
    assert min(reserved) == max(reserved) > output_of_both


@pytest.mark.parametrize(
    "change", [{"max_output_tokens": 99}, {"model": "another"}], ids=["another-cap", "another-model"]
)
def test_another_chain_does_not_reuse_replies(tmp_path: Path, change: dict[str, Any]) -> None:
    """The reply of one chain is not reused for another, even if only a later model differs."""
    model = ScriptedModel("Four.")
    for models in (chain_of(), chain_of(**change), chain_of()):
        run_scenario(tmp_path, [model, ScriptedModel("Four.")], ask, cache=CACHED, models=models)

    assert len(model.requests) == 2


def test_a_cached_reply_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reused until `ttl_seconds` are over, and not later."""
    start = now()

    async def story(wiring: Wiring) -> list[int]:
        counts: list[int] = []
        for seconds in (0, 59, 61):
            monkeypatch.setattr(reply_cache, "now", lambda after=seconds: start + timedelta(seconds=after))
            await ask(wiring)
            counts.append(len(model.requests))
        return counts

    model = ScriptedModel("Four.")

    assert run_scenario(tmp_path, [model], story, cache=CACHED) == [1, 1, 2]
