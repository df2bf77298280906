"""The walk of one call: who answers, what it costs, and what happens when something goes wrong on the way."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage
from sample_task import TASK, Answer, Question
from scenario import walk
from telemetry_sinks import Lines

from chassis import Answered, Draft, Referred, Task
from chassis.contract import FallbackReason
from chassis.errors import BudgetExhausted, CallError, InputNotAllowed, ModelsFailed
from chassis.money.accounts import Reservation
from chassis.money.ledger import Ledger
from chassis.testing import CONSTRAINTS, ScriptedModel
from chassis.wiring import Wiring

DOWN = ModelHTTPError(503, "first")


def asking(text: str) -> Callable[[Wiring], Coroutine[Any, Any, Any]]:
    """Return the story of one question."""

    async def story(wiring: Wiring) -> Any:
        return await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))

    return story


def test_a_sure_model_answers(tmp_path: Path) -> None:
    """The first model's draft goes to the caller, under the model's name."""
    outcome = walk(tmp_path, [ScriptedModel("Four.")], asking("2 + 2?"))

    assert outcome == Answered(Answer(text="Four."), "first", 0.9, degraded=False, fallback_reason=None)


def test_the_next_model_answers_when_the_first_is_down(tmp_path: Path) -> None:
    """A fallback is an answer, but a degraded one."""
    outcome = walk(tmp_path, [ScriptedModel(DOWN), ScriptedModel("Four.")], asking("2 + 2?"))

    assert outcome == Answered(
        Answer(text="Four."), "second", 0.9, degraded=True, fallback_reason=FallbackReason.MODELS_FAILED
    )


@pytest.mark.parametrize(
    ("models", "fallback_reason"),
    [
        ([], FallbackReason.NO_MODEL),
        ([ScriptedModel(DOWN), ScriptedModel(DOWN)], FallbackReason.MODELS_FAILED),
        ([ScriptedModel("?maybe")], FallbackReason.LOW_CONFIDENCE),
        ([ScriptedModel("")], FallbackReason.MODELS_FAILED),
    ],
)
def test_the_baseline_answers_when_no_model_can(
    tmp_path: Path, models: list[Model], fallback_reason: FallbackReason
) -> None:
    """Without a key, with every model down, unsure or silent, the caller still gets an honest answer."""
    outcome = walk(tmp_path, models, asking("ping"))

    assert outcome == Answered(Answer(text="PING"), "baseline", 0.8, degraded=True, fallback_reason=fallback_reason)


def test_a_person_answers_when_nobody_is_sure(tmp_path: Path) -> None:
    """The desk keeps the question, the draft and the reason; the person's answer is found under the ticket."""

    async def story(wiring: Wiring) -> tuple[Any, Any, Any]:
        outcome = await asking("why?")(wiring)
        waiting = await wiring.review_queue.open_referrals()
        return outcome, waiting[0], await wiring.review_queue.answer(outcome.referral_id, '{"text": "Because."}', "bob")

    outcome, waiting, answered = walk(tmp_path, [ScriptedModel("?maybe")], story)

    assert isinstance(outcome, Referred)
    assert (waiting.id, waiting.caller, waiting.fallback_reason) == (
        outcome.referral_id,
        "alice",
        FallbackReason.LOW_CONFIDENCE,
    )
    assert (waiting.question, waiting.draft, waiting.confidence) == ({"text": "why?"}, {"text": "?maybe"}, 0.1)
    assert (answered.answer, answered.answered_by) == ({"text": "Because."}, "bob")


@pytest.mark.parametrize(("rule", "expected"), [("baseline", Answered), ("review", Referred), ("error", ModelsFailed)])
def test_what_happens_when_models_fail_is_a_decision(tmp_path: Path, rule: str, expected: type) -> None:
    """`fallback.models_failed` decides between the baseline, a person and an error."""
    story = asking("ping")
    rules = {"models_failed": rule}
    if issubclass(expected, CallError):
        with pytest.raises(expected):
            walk(tmp_path, [ScriptedModel(DOWN)], story, fallback=rules)
    else:
        assert isinstance(walk(tmp_path, [ScriptedModel(DOWN)], story, fallback=rules), expected)


@pytest.mark.parametrize("ceiling", ["per_request_usd", "per_caller_day_usd", "per_day_usd", "per_month_usd"])
def test_no_ceiling_is_passed_and_nothing_is_sent(tmp_path: Path, ceiling: str) -> None:
    """The worst case must fit into every ceiling before anything leaves the building."""
    model = ScriptedModel("Four.")
    rules = {"budget_exhausted": "error"}

    with pytest.raises(BudgetExhausted):
        walk(tmp_path, [model], asking("2 + 2?"), cost={ceiling: 0.000001}, fallback=rules)

    assert model.requests == []


def test_the_ceiling_of_a_call_counts_all_its_requests_together(tmp_path: Path) -> None:
    """A task that asks again and again is stopped by money before it is stopped by its turns."""

    async def loop(question: Question, model: Model) -> Draft[Answer]:
        for _ in range(3):
            await TASK.run(question, model)
        return await TASK.run(question, model)

    asking_often = Task(name="echo", takes=Question, gives=Answer, run=loop, baseline=TASK.baseline)
    model, tight = ScriptedModel("again"), {"cost": {"per_request_usd": 0.02}, "limits": {"retries_per_model": 0}}

    outcome = walk(tmp_path, [model], asking("ping"), task=asking_often, **tight)

    assert outcome.fallback_reason is FallbackReason.BUDGET_EXHAUSTED
    assert 0 < len(model.requests) < 4


def test_the_ceiling_of_a_call_counts_what_it_asks_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests side by side see each other's money also while a server still thinks about holding it."""
    hold = Ledger.reserve

    async def slowly(ledger: Ledger, *about: Any) -> Reservation:
        await asyncio.sleep(0.05)
        return await hold(ledger, *about)

    async def at_once(question: Question, model: Model) -> Draft[Answer]:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(Agent(model).run(question.text))
        return Draft(Answer(text="again"), confidence=1)

    monkeypatch.setattr(Ledger, "reserve", slowly)
    asking_much = Task(name="echo", takes=Question, gives=Answer, run=at_once, baseline=TASK.baseline)
    model, tight = ScriptedModel("again"), {"cost": {"per_request_usd": 0.02}, "limits": {"retries_per_model": 0}}

    outcome = walk(tmp_path, [model], asking("ping"), task=asking_much, **tight)

    assert outcome.fallback_reason is FallbackReason.BUDGET_EXHAUSTED
    assert len(model.requests) < 2


@pytest.mark.parametrize(
    ("rule", "answered_by", "requests"), [("cheaper", "second", (0, 1)), ("baseline", "baseline", (0, 0))]
)
def test_a_cheaper_chain_answers_when_the_whole_one_is_too_dear(
    tmp_path: Path, lines: Lines, rule: str, answered_by: str, requests: tuple[int, int]
) -> None:
    """Without its dearest model it fits, if that is the rule; the answer, the log and the books say what happened."""
    first, second = ScriptedModel("Four."), ScriptedModel("Perhaps four.")
    models = [*CONSTRAINTS["models"]]
    models[1] = models[1] | {"input_usd_per_million": 1, "output_usd_per_million": 10}
    tight: dict[str, Any] = {"cost": {"per_day_usd": 0.01}, "fallback": {"budget_exhausted": rule}}

    async def story(wiring: Wiring) -> tuple[Any, list[tuple[int, int]]]:
        outcome = await asking("2 + 2?")(wiring)
        return outcome, [(balance.reserved, balance.spent) for balance in await wiring.ledger.balances()]

    outcome, balances = walk(tmp_path, [first, second], story, models=models, **tight)

    assert (outcome.answered_by, outcome.degraded, outcome.fallback_reason) == (
        answered_by,
        True,
        FallbackReason.BUDGET_EXHAUSTED,
    )
    assert (len(first.requests), len(second.requests)) == requests
    assert set(balances) <= {(0, 60_000)}
    assert lines.named("call.finished")[0]["fallback_reason"] == "budget_exhausted"


def test_what_is_free_is_asked_when_the_money_is_gone(tmp_path: Path) -> None:
    """A model of one's own, priced 0, is left of any chain; only where nothing is left the baseline answers."""
    free = {"input_usd_per_million": 0, "output_usd_per_million": 0}
    dear, own = CONSTRAINTS["models"]
    broke: dict[str, Any] = {"cost": {"per_month_usd": 0}, "fallback": {"budget_exhausted": "cheaper"}}

    with_one = walk(
        tmp_path, [ScriptedModel("x"), ScriptedModel("Four.")], asking("2 + 2?"), models=[dear, own | free], **broke
    )
    without = walk(
        tmp_path, [ScriptedModel("x"), ScriptedModel("Four.")], asking("2 + 2?"), models=[dear, own], **broke
    )

    assert (with_one.answered_by, with_one.value.text) == ("second", "Four.")
    assert (without.answered_by, without.fallback_reason) == ("baseline", FallbackReason.BUDGET_EXHAUSTED)


def test_what_was_held_is_settled_to_what_was_used(tmp_path: Path) -> None:
    """10 tokens in at $10 and 5 out at $100 per million are $0.0006, on every account, and nothing stays held."""

    async def story(wiring: Wiring) -> list[tuple[int, int]]:
        await wiring.service.answer(Question(text="2 + 2?"), wiring.service.new_call("alice"))
        return [(balance.reserved, balance.spent) for balance in await wiring.ledger.balances()]

    assert walk(tmp_path, [ScriptedModel("Four.")], story) == [(0, 600_000)] * 3


def test_a_caller_who_hangs_up_still_pays(tmp_path: Path) -> None:
    """Nobody knows what the vendor did with a cancelled request: the worst case is charged, and nothing stays held."""

    async def hang(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def story(wiring: Wiring) -> list[tuple[int, bool]]:
        task = asyncio.create_task(asking("2 + 2?")(wiring))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [(balance.reserved, balance.spent > 10_000_000) for balance in await wiring.ledger.balances()]

    assert walk(tmp_path, [ScriptedModel(hang)], story) == [(0, True)] * 3


def test_one_deadline_bounds_a_hanging_chain(tmp_path: Path) -> None:
    """Two models that never answer share the time, and the baseline still has some."""

    async def hang(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def story(wiring: Wiring) -> tuple[Any, list[tuple[str, str | None]], float]:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="ping"), call)
        return outcome, [(attempt.model, attempt.error) for attempt in call.attempts], call.deadline.remaining()

    outcome, attempts, remaining = walk(
        tmp_path, [ScriptedModel(hang), ScriptedModel(hang)], story, latency={"deadline_seconds": 1}
    )

    assert outcome.answered_by == "baseline"
    assert attempts == [("first", "TimedOut"), ("second", "TimedOut")]
    assert remaining > 0


def test_a_hanging_baseline_ends_at_the_desk(tmp_path: Path) -> None:
    """The deadline binds the baseline too; the question is not lost."""

    def dawdle(_: Question) -> Draft[Answer]:
        time.sleep(0.8)
        raise AssertionError

    slow = Task(name="echo", takes=Question, gives=Answer, run=TASK.run, baseline=dawdle)

    outcome = walk(tmp_path, [], asking("ping"), task=slow, latency={"deadline_seconds": 0.2})

    assert isinstance(outcome, Referred)


def test_a_looping_task_stops_at_its_ceiling(tmp_path: Path) -> None:
    """A task that never stops asking is stopped after `limits.model_requests_per_call` requests."""

    async def loop(question: Question, model: Model) -> Draft[Answer]:
        while True:
            await TASK.run(question, model)

    endless = Task(name="echo", takes=Question, gives=Answer, run=loop, baseline=TASK.baseline)
    model = ScriptedModel("again")

    outcome = walk(tmp_path, [model], asking("ping"), task=endless)

    assert outcome.answered_by == "baseline"
    assert len(model.requests) == 4


def test_sensitive_values_never_reach_a_model_and_come_back(tmp_path: Path) -> None:
    """The model sees a placeholder; the caller sees the value."""

    async def repeat(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        prompt = messages[0].parts[-1]
        assert isinstance(prompt, UserPromptPart)
        return ModelResponse([TextPart(str(prompt.content))], usage=RequestUsage(input_tokens=1, output_tokens=1))

    model = ScriptedModel(repeat)

    outcome = walk(tmp_path, [model], asking("Mail ann@example.com"))

    assert outcome.value == Answer(text="Mail ann@example.com")
    assert "ann@example.com" not in str(model.requests)
    assert "[EMAIL_1]" in str(model.requests)


def test_the_policy_refuses_without_repeating_the_value(tmp_path: Path) -> None:
    """A card number is refused by the name of the rule, and no model sees it."""
    model = ScriptedModel("never")

    with pytest.raises(InputNotAllowed, match=r"data\.refuse") as refusal:
        walk(tmp_path, [model], asking("Pay with 4111 1111 1111 1111"))

    assert "4111" not in str(refusal.value)
    assert model.requests == []


def test_the_same_question_is_paid_for_once_per_caller(tmp_path: Path, lines: Lines) -> None:
    """The cache answers a caller's second request for nothing; another caller's is sent."""
    model = ScriptedModel("Four.")

    async def story(wiring: Wiring) -> list[int]:
        costs: list[int] = []
        for caller in ("alice", "alice", "bob"):
            call = wiring.service.new_call(caller)
            await wiring.service.answer(Question(text="2 + 2?"), call)
            costs.append(call.cost)
        return costs

    assert walk(tmp_path, [model], story, cache={"ttl_seconds": 60}) == [600_000, 0, 600_000]
    assert len(model.requests) == 2
    assert [line["cached"] for line in lines.named("call.finished")] == [0, 1, 0]


def test_a_failing_model_rests(tmp_path: Path) -> None:
    """After five failures in a row a model is no longer asked."""
    first = ScriptedModel(DOWN)

    async def story(wiring: Wiring) -> None:
        for _ in range(8):
            await asking("ping")(wiring)

    walk(tmp_path, [first, ScriptedModel("ok")], story)

    assert len(first.requests) == 5


def test_an_error_in_the_team_s_code_is_never_hidden(tmp_path: Path) -> None:
    """A bug is a bug: no retry, no baseline, no referral."""

    async def bug(_: Question, __: Model) -> Draft[Answer]:
        raise ZeroDivisionError

    broken = Task(name="echo", takes=Question, gives=Answer, run=bug, baseline=TASK.baseline)

    with pytest.raises(ZeroDivisionError):
        walk(tmp_path, [ScriptedModel("ok")], asking("ping"), task=broken)


def test_a_task_group_of_the_team_s_hides_no_failure_of_a_model(tmp_path: Path) -> None:
    """What went wrong with models counts as that, also when it comes out of two tasks at once."""

    async def both(question: Question, model: Model) -> Draft[Answer]:
        async def once() -> Draft[Answer]:
            return await TASK.run(question, model)

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(once()) for _ in range(2)]
        return asked[0].result()

    doubled = Task(name="echo", takes=Question, gives=Answer, run=both, baseline=TASK.baseline)

    assert walk(tmp_path, [ScriptedModel(DOWN)], asking("ping"), task=doubled).answered_by == "baseline"


def test_a_draft_of_the_wrong_type_is_a_mistake(tmp_path: Path) -> None:
    """A caller is never handed what the task did not promise."""

    async def lie(_: Question, __: Model) -> Draft[Any]:
        return Draft("just words", 0.9)

    lying = Task(name="echo", takes=Question, gives=Answer, run=lie, baseline=TASK.baseline)

    with pytest.raises(TypeError, match="drafted a str, not a Answer"):
        walk(tmp_path, [ScriptedModel("ok")], asking("ping"), task=lying)


@pytest.mark.parametrize("mistake", [IndexError(), KeyError("choices"), ValueError(), TypeError(), AttributeError()])
def test_what_a_vendor_s_library_cannot_read_is_a_failure_of_the_model(tmp_path: Path, mistake: Exception) -> None:
    """The next model is asked, and as nobody knows what the first one did, its worst case is charged."""

    async def story(wiring: Wiring) -> tuple[Any, bool]:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="2 + 2?"), call)
        assert isinstance(outcome, Answered)
        return outcome.answered_by, call.attempts[0].cost > 10_000_000

    assert walk(tmp_path, [ScriptedModel(mistake), ScriptedModel("Four.")], story) == ("second", True)


def test_a_reply_without_usage_costs_the_worst_case(tmp_path: Path) -> None:
    """A vendor that does not say what it used is not taken to have worked for nothing."""
    silent = ModelResponse([TextPart("Four.")], usage=RequestUsage(details={"unknown": 1}))

    async def story(wiring: Wiring) -> bool:
        call = wiring.service.new_call("alice")
        await wiring.service.answer(Question(text="2 + 2?"), call)
        return call.cost > 10_000_000

    assert walk(tmp_path, [ScriptedModel(silent)], story)
