"""Why each step of the walk is where it is: every test here fails if its step moves, is left out, or looks away."""

import asyncio
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic_ai import Agent
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelServerError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.settings import ModelSettings
from sample_task import TASK, Answer, Question
from scenario import walk

import chassis
from chassis import Draft, Task
from chassis.clock import now
from chassis.errors import ModelsFailed
from chassis.guard.egress import VendorModel
from chassis.guard.failures import EmptyReply
from chassis.service import Service
from chassis.store import reply_cache as replies
from chassis.testing import CONSTRAINTS, ScriptedModel
from chassis.usd import nano_usd
from chassis.wiring import Wiring

KEPT = {"ttl_seconds": 60}
SOURCE = Path(chassis.__file__).parent
MAX_FRAMES = 16
"""How many functions of the chassis may lie between a call and a vendor."""


async def ask(wiring: Wiring, text: str = "2 + 2?") -> Any:
    """Ask as Alice does."""
    return await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))


def with_settings(**settings: Any) -> Task[Any, Any]:
    """Return a task that asks with settings of its own."""

    async def run(question: Question, model: Model) -> Draft[Answer]:
        agent = Agent(model, model_settings=ModelSettings(**settings))
        return Draft(Answer(text=(await agent.run(question.text)).output), confidence=1)

    return Task(name="echo", takes=Question, gives=Answer, run=run, baseline=TASK.baseline)


def chain_of(**changes_of_second: Any) -> list[dict[str, Any]]:
    """Return the two models of the tests, the second one changed."""
    first, second = CONSTRAINTS["models"]
    return [first, second | changes_of_second]


@pytest.mark.parametrize("ttl_seconds", [0, 60], ids=["cache off", "cache on"])
def test_few_frames_lie_between_a_call_and_its_vendor(tmp_path: Path, ttl_seconds: int) -> None:
    """The stack of a guarded request can be read: a few frames of the service, and one for each step."""
    frames: list[str] = []

    async def ask_directly(
        question: Question, model: Model
    ) -> Draft[Answer]:  # an agent would begin a stack of its own
        response = await model_request(model, [ModelRequest.user_text_prompt(question.text)])
        return Draft(Answer(text=str(response.text)), confidence=1)

    async def look_back(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        stack = [frame.f_code for frame, _ in traceback.walk_stack(None)]
        until_call = stack[: stack.index(Service.answer.__code__) + 1]
        frames.extend(code.co_qualname for code in until_call if Path(code.co_filename).is_relative_to(SOURCE))
        return ModelResponse([TextPart("Four.")])

    model = VendorModel(FunctionModel(look_back), httpx2.AsyncClient())
    walk(tmp_path, [model], ask, replace(TASK, run=ask_directly), cache={"ttl_seconds": ttl_seconds})

    assert frames[0] == "VendorModel.request"
    assert frames[-1] == "Service.answer"
    assert len(frames) <= MAX_FRAMES, frames


def test_the_cache_keeps_placeholders(tmp_path: Path) -> None:
    """It stands behind the redaction, so that no value is laid down in it, and every caller's reply gets their own."""

    async def story(wiring: Wiring) -> tuple[list[str], str]:
        answers = [(await ask(wiring, "I am ada@example.com")).value.text for _ in range(2)]
        [row] = await wiring.database.fetch("SELECT reply FROM replies")
        return answers, row["reply"]

    model = ScriptedModel("Hello [EMAIL_1].")
    answers, kept = walk(tmp_path, [model], story, cache=KEPT)

    assert answers == ["Hello ada@example.com."] * 2
    assert len(model.requests) == 1
    assert "[EMAIL_1]" in kept
    assert "ada@example.com" not in kept


def test_a_model_that_hangs_rests(tmp_path: Path) -> None:
    """The clock stands inside the breaker, so that running out of time counts against the model."""

    async def hang(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def story(wiring: Wiring) -> list[str]:
        return [(await ask(wiring, f"{number} + 2?")).answered_by for number in range(7)]

    first = ScriptedModel(hang)
    answerers = walk(
        tmp_path, [first, ScriptedModel("Four.")], story, latency={"deadline_seconds": 0.6, "p95_seconds": 0.6}
    )

    assert answerers[-1] == "second"
    assert len(first.requests) == 5


@pytest.mark.parametrize(("wanted", "sent"), [(None, 100), (5_000, 100), (7, 7)])
def test_no_request_goes_without_the_cap(tmp_path: Path, wanted: int | None, sent: int) -> None:
    """What a task wants can only be less than `max_output_tokens`: what is held is reckoned with that."""
    seen: list[int | None] = []

    async def listen(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append((info.model_settings or {}).get("max_tokens"))
        return ModelResponse([TextPart("Four.")])

    walk(tmp_path, [ScriptedModel(listen)], ask, with_settings(**({"max_tokens": wanted} if wanted else {})))

    assert seen == [sent]


class Reworded(ScriptedModel):
    """A model that has every conversation end in a line of its own."""

    def prepare_messages(
        self,
        messages: list[ModelMessage],
        model_request_parameters: ModelRequestParameters | None = None,  # noqa: ARG002 - as pydantic-ai's own
    ) -> list[ModelMessage]:
        """Add the line."""
        return [*messages, ModelRequest([UserPromptPart("Be brief.")])]


def test_each_model_reads_the_conversation_in_its_own_words(tmp_path: Path) -> None:
    """It is prepared for the model that is asked and for no other, and once however often that one is asked."""
    first, second = (
        ScriptedModel(ModelServerError("first", "down")),
        Reworded(ModelServerError("second", "down"), "Four."),
    )

    walk(tmp_path, [first, second], ask)

    assert [len(messages) for messages in first.requests] == [1]
    assert [len(messages) for messages in second.requests] == [2, 2]


def test_a_task_may_wait_less_than_a_share(tmp_path: Path) -> None:
    """Its own `request_timeout` counts for each model; without it, the first would have been in time."""

    async def dawdle(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(1)
        return ModelResponse([TextPart("Four.")])

    outcome = walk(tmp_path, [ScriptedModel(dawdle), ScriptedModel("Four.")], ask, with_settings(request_timeout=0.05))

    assert outcome.answered_by == "second"


def test_what_each_model_did_wrong_is_told(tmp_path: Path) -> None:
    """Whoever is refused because every model failed finds each failure as its cause, in the order of the chain."""
    first, second = ScriptedModel(ModelServerError("first", "down")), ScriptedModel("")

    with pytest.raises(ModelsFailed) as refusal:
        walk(tmp_path, [first, second], ask, fallback={"models_failed": "error"})

    cause = refusal.value.__cause__
    assert isinstance(cause, ExceptionGroup)
    assert [type(failure) for failure in cause.exceptions] == [ModelServerError, EmptyReply]


def test_a_reply_of_no_use_is_seen_before_the_task_sees_it(tmp_path: Path) -> None:
    """A reply that was cut off reads like an answer; the next model is asked instead."""
    cut_off = ScriptedModel(ModelResponse([TextPart("Four and")], finish_reason="length"))

    outcome = walk(tmp_path, [cut_off, ScriptedModel("Four.")], ask)

    assert (outcome.answered_by, outcome.value.text, len(cut_off.requests)) == ("second", "Four.", 1)


def test_what_is_held_bears_every_model_and_every_retry(tmp_path: Path) -> None:
    """The first model is cheap; that the dear one behind it may be asked as well, twice, is held before anything is."""
    held: list[int] = []

    async def story(wiring: Wiring) -> None:
        async def look(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
            held.extend(balance.reserved for balance in await wiring.ledger.balances())
            return ModelResponse([TextPart("Four.")])

        first._replies[:] = [look]  # noqa: SLF001 - it must know the wiring, which knows it
        await ask(wiring)

    first = ScriptedModel("Four.")
    dear = chain_of(input_usd_per_million=100, output_usd_per_million=1_000)
    walk(tmp_path, [first, ScriptedModel("Four.")], story, models=dear)

    output_of_both = nano_usd(2 * 100 * (100 + 1_000) / 1e6)
    assert len(held) == 3
    assert min(held) == max(held) > output_of_both


@pytest.mark.parametrize(
    "change", [{"max_output_tokens": 99}, {"model": "another"}], ids=["another-cap", "another-model"]
)
def test_another_chain_has_other_replies(tmp_path: Path, change: dict[str, Any]) -> None:
    """What one chain said is not repeated for another, not even where only a later model differs."""
    model = ScriptedModel("Four.")
    for models in (chain_of(), chain_of(**change), chain_of()):
        walk(tmp_path, [model, ScriptedModel("Four.")], ask, cache=KEPT, models=models)

    assert len(model.requests) == 2


def test_a_reply_grows_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until `ttl_seconds` are over it is repeated, and not a second longer."""
    begun = now()

    async def story(wiring: Wiring) -> list[int]:
        counts: list[int] = []
        for seconds in (0, 59, 61):
            monkeypatch.setattr(replies, "now", lambda after=seconds: begun + timedelta(seconds=after))
            await ask(wiring)
            counts.append(len(model.requests))
        return counts

    model = ScriptedModel("Four.")

    assert walk(tmp_path, [model], story, cache=KEPT) == [1, 1, 2]
