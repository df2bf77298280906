"""One call from question to outcome: who answers, what it costs, and what happens when something goes wrong."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from chassis import Answered, Draft, Referred, Task
from chassis.contract import FallbackReason
from chassis.errors import BudgetExhausted, CallError, InputNotAllowed, ModelsFailed
from chassis.money.accounts import Reservation
from chassis.money.ledger import Ledger
from chassis.testing import CONSTRAINTS, ScriptedModel
from chassis.wiring import Wiring
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage
from sample_task import TASK, Answer, Question
from scenario import run_scenario
from telemetry_sinks import Lines

DOWN = ModelHTTPError(503, "first")


def asking(text: str) -> Callable[[Wiring], Coroutine[Any, Any, Any]]:
    """Return a scenario that asks one question."""

    async def story(wiring: Wiring) -> Any:
        return await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))

    return story


def test_a_confident_model_answers(tmp_path: Path) -> None:
    """The first model's draft goes to the caller under the model's name."""
    outcome = run_scenario(tmp_path, [ScriptedModel("Four.")], asking("2 + 2?"))

    assert outcome == Answered(Answer(text="Four."), "first", 0.9, degraded=False, fallback_reason=None)


def test_the_next_model_answers_when_the_first_is_down(tmp_path: Path) -> None:
    """The answer of a fallback is marked as degraded."""
    outcome = run_scenario(tmp_path, [ScriptedModel(DOWN), ScriptedModel("Four.")], asking("2 + 2?"))

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
    """Without a key, or with every model down, unsure or silent, the caller still gets an answer."""
    outcome = run_scenario(tmp_path, models, asking("ping"))

    assert outcome == Answered(Answer(text="PING"), "baseline", 0.8, degraded=True, fallback_reason=fallback_reason)


def test_a_person_answers_when_no_draft_is_confident(tmp_path: Path) -> None:
    """The review queue keeps the question, the draft and the reason, and later the person's answer."""

    async def story(wiring: Wiring) -> tuple[Any, Any, Any]:
        outcome = await asking("why?")(wiring)
        waiting = await wiring.review_queue.open_referrals()
        await wiring.reviews.answer(outcome.referral_id, '{"text": "Because."}', "bob")
        return outcome, waiting[0], await wiring.review_queue.find(outcome.referral_id)

    outcome, waiting, answered = run_scenario(tmp_path, [ScriptedModel("?maybe")], story)

    assert isinstance(outcome, Referred)
    assert (waiting.id, waiting.caller, waiting.fallback_reason) == (
        outcome.referral_id,
        "alice",
        FallbackReason.LOW_CONFIDENCE,
    )
    assert (waiting.question, waiting.draft, waiting.confidence) == ({"text": "why?"}, {"text": "?maybe"}, 0.1)
    assert (answered.answer, answered.answered_by) == ({"text": "Because."}, "bob")


@pytest.mark.parametrize(("rule", "expected"), [("baseline", Answered), ("review", Referred), ("error", ModelsFailed)])
def test_the_constraints_decide_what_happens_when_models_fail(tmp_path: Path, rule: str, expected: type) -> None:
    """`fallback.models_failed` chooses between the baseline, a person and an error."""
    story = asking("ping")
    rules = {"models_failed": rule}
    if issubclass(expected, CallError):
        with pytest.raises(expected):
            run_scenario(tmp_path, [ScriptedModel(DOWN)], story, fallback=rules)
    else:
        assert isinstance(run_scenario(tmp_path, [ScriptedModel(DOWN)], story, fallback=rules), expected)


@pytest.mark.parametrize("limit", ["per_request_usd", "per_caller_day_usd", "per_day_usd", "per_month_usd"])
def test_no_budget_limit_is_exceeded(tmp_path: Path, limit: str) -> None:
    """Nothing is sent unless the worst case is within every limit."""
    model = ScriptedModel("Four.")
    rules = {"budget_exhausted": "error"}

    with pytest.raises(BudgetExhausted):
        run_scenario(tmp_path, [model], asking("2 + 2?"), cost={limit: 0.000001}, fallback=rules)

    assert model.requests == []


def test_the_limit_of_a_call_applies_to_all_its_requests_together(tmp_path: Path) -> None:
    """A task that asks again and again reaches the budget limit before the limit of model requests."""

    async def loop(question: Question, model: Model) -> Draft[Answer]:
        for _ in range(3):
            await TASK.run(question, model)
        return await TASK.run(question, model)

    repeating_task = Task(name="echo", takes=Question, gives=Answer, run=loop, baseline=TASK.baseline)
    model, limits = ScriptedModel("again"), {"cost": {"per_request_usd": 0.02}, "limits": {"retries_per_model": 0}}

    outcome = run_scenario(tmp_path, [model], asking("ping"), task=repeating_task, **limits)

    assert outcome.fallback_reason is FallbackReason.BUDGET_EXHAUSTED
    assert 0 < len(model.requests) < 4


def test_the_limit_of_a_call_applies_to_concurrent_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of one call count each other's money also while the database is still reserving it."""
    reserve = Ledger.reserve

    async def reserve_slowly(ledger: Ledger, *arguments: Any) -> Reservation:
        await asyncio.sleep(0.05)
        return await reserve(ledger, *arguments)

    async def ask_concurrently(question: Question, model: Model) -> Draft[Answer]:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(Agent(model).run(question.text))
        return Draft(Answer(text="again"), confidence=1)

    monkeypatch.setattr(Ledger, "reserve", reserve_slowly)
    concurrent_task = Task(name="echo", takes=Question, gives=Answer, run=ask_concurrently, baseline=TASK.baseline)
    model, limits = ScriptedModel("again"), {"cost": {"per_request_usd": 0.02}, "limits": {"retries_per_model": 0}}

    outcome = run_scenario(tmp_path, [model], asking("ping"), task=concurrent_task, **limits)

    assert outcome.fallback_reason is FallbackReason.BUDGET_EXHAUSTED
    assert len(model.requests) < 2


@pytest.mark.parametrize(
    ("rule", "answered_by", "requests"), [("cheaper", "second", (0, 1)), ("baseline", "baseline", (0, 0))]
)
def test_a_cheaper_chain_answers_when_the_budget_does_not_cover_the_whole_one(
    tmp_path: Path, lines: Lines, rule: str, answered_by: str, requests: tuple[int, int]
) -> None:
    """With the rule "cheaper" its dearest model is left out; the answer, the log and the ledger show it."""
    first, second = ScriptedModel("Four."), ScriptedModel("Perhaps four.")
    models = [*CONSTRAINTS["models"]]
    models[1] = models[1] | {"input_usd_per_million": 1, "output_usd_per_million": 10}
    limits: dict[str, Any] = {"cost": {"per_day_usd": 0.01}, "fallback": {"budget_exhausted": rule}}

    async def story(wiring: Wiring) -> tuple[Any, list[tuple[int, int]]]:
        outcome = await asking("2 + 2?")(wiring)
        return outcome, [(balance.reserved, balance.spent) for balance in await wiring.ledger.balances()]

    outcome, balances = run_scenario(tmp_path, [first, second], story, models=models, **limits)

    assert (outcome.answered_by, outcome.degraded, outcome.fallback_reason) == (
        answered_by,
        True,
        FallbackReason.BUDGET_EXHAUSTED,
    )
    assert (len(first.requests), len(second.requests)) == requests
    assert set(balances) <= {(0, 60_000)}
    assert lines.named("call.finished")[0]["fallback_reason"] == "budget_exhausted"


def test_a_free_model_is_asked_when_the_budget_is_exhausted(tmp_path: Path) -> None:
    """A self-hosted model with the price 0 remains of any chain; without one the baseline answers."""
    free = {"input_usd_per_million": 0, "output_usd_per_million": 0}
    first, second = CONSTRAINTS["models"]
    no_budget: dict[str, Any] = {"cost": {"per_month_usd": 0}, "fallback": {"budget_exhausted": "cheaper"}}

    with_free = run_scenario(
        tmp_path,
        [ScriptedModel("x"), ScriptedModel("Four.")],
        asking("2 + 2?"),
        models=[first, second | free],
        **no_budget,
    )
    without_free = run_scenario(
        tmp_path, [ScriptedModel("x"), ScriptedModel("Four.")], asking("2 + 2?"), models=[first, second], **no_budget
    )

    assert (with_free.answered_by, with_free.value.text) == ("second", "Four.")
    assert (without_free.answered_by, without_free.fallback_reason) == ("baseline", FallbackReason.BUDGET_EXHAUSTED)


def test_the_reservation_is_settled_to_the_real_cost(tmp_path: Path) -> None:
    """10 input tokens at $10 and 5 output tokens at $100 a million are $0.0006, and nothing stays reserved."""

    async def story(wiring: Wiring) -> list[tuple[int, int]]:
        await wiring.service.answer(Question(text="2 + 2?"), wiring.service.new_call("alice"))
        return [(balance.reserved, balance.spent) for balance in await wiring.ledger.balances()]

    assert run_scenario(tmp_path, [ScriptedModel("Four.")], story) == [(0, 600_000)] * 3


def test_a_cancelled_call_is_charged(tmp_path: Path) -> None:
    """The vendor may have processed the request, so the worst case is charged; nothing stays reserved."""

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

    assert run_scenario(tmp_path, [ScriptedModel(hang)], story) == [(0, True)] * 3


def test_one_deadline_limits_the_whole_chain(tmp_path: Path) -> None:
    """Two models that never answer share the time, and the baseline has some left."""

    async def hang(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def story(wiring: Wiring) -> tuple[Any, list[tuple[str, str | None]], float]:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="ping"), call)
        return outcome, [(attempt.model, attempt.error) for attempt in call.attempts], call.deadline.remaining()

    outcome, attempts, remaining = run_scenario(
        tmp_path, [ScriptedModel(hang), ScriptedModel(hang)], story, latency={"deadline_seconds": 1}
    )

    assert outcome.answered_by == "baseline"
    assert attempts == [("first", "TimedOut"), ("second", "TimedOut")]
    assert remaining > 0


def test_a_slow_baseline_leads_to_a_referral(tmp_path: Path) -> None:
    """The deadline applies to the baseline too, and the question is not lost."""

    def slow_baseline(_: Question) -> Draft[Answer]:
        time.sleep(0.8)
        raise AssertionError

    slow = Task(name="echo", takes=Question, gives=Answer, run=TASK.run, baseline=slow_baseline)

    outcome = run_scenario(tmp_path, [], asking("ping"), task=slow, latency={"deadline_seconds": 0.2})

    assert isinstance(outcome, Referred)


def test_an_endless_task_is_stopped(tmp_path: Path) -> None:
    """It can make `limits.model_requests_per_call` model requests and no more."""

    async def loop(question: Question, model: Model) -> Draft[Answer]:
        while True:
            await TASK.run(question, model)

    endless = Task(name="echo", takes=Question, gives=Answer, run=loop, baseline=TASK.baseline)
    model = ScriptedModel("again")

    outcome = run_scenario(tmp_path, [model], asking("ping"), task=endless)

    assert outcome.answered_by == "baseline"
    assert len(model.requests) == 4


def test_sensitive_values_are_redacted_and_restored(tmp_path: Path) -> None:
    """The model sees a placeholder, and the caller the value."""

    async def echo(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        prompt = messages[0].parts[-1]
        assert isinstance(prompt, UserPromptPart)
        return ModelResponse([TextPart(str(prompt.content))], usage=RequestUsage(input_tokens=1, output_tokens=1))

    model = ScriptedModel(echo)

    outcome = run_scenario(tmp_path, [model], asking("Mail ann@example.com"))

    assert outcome.value == Answer(text="Mail ann@example.com")
    assert "ann@example.com" not in str(model.requests)
    assert "[EMAIL_1]" in str(model.requests)


def test_a_refusal_does_not_repeat_the_value(tmp_path: Path) -> None:
    """It names the rule that forbids a card number, and no model sees the number."""
    model = ScriptedModel("never")

    with pytest.raises(InputNotAllowed, match=r"data\.refuse") as refusal:
        run_scenario(tmp_path, [model], asking("Pay with 4111 1111 1111 1111"))

    assert "4111" not in str(refusal.value)
    assert model.requests == []


def test_a_repeated_question_costs_nothing(tmp_path: Path, lines: Lines) -> None:
    """The second request of a caller is answered from the cache, but not that of another caller."""
    model = ScriptedModel("Four.")

    async def story(wiring: Wiring) -> list[int]:
        costs: list[int] = []
        for caller in ("alice", "alice", "bob"):
            call = wiring.service.new_call(caller)
            await wiring.service.answer(Question(text="2 + 2?"), call)
            costs.append(call.cost)
        return costs

    assert run_scenario(tmp_path, [model], story, cache={"ttl_seconds": 60}) == [600_000, 0, 600_000]
    assert len(model.requests) == 2
    assert [line["cached"] for line in lines.named("call.finished")] == [0, 1, 0]


def test_a_failing_model_is_no_longer_asked(tmp_path: Path) -> None:
    """Its circuit breaker opens after five failures in a row."""
    first = ScriptedModel(DOWN)

    async def story(wiring: Wiring) -> None:
        for _ in range(8):
            await asking("ping")(wiring)

    run_scenario(tmp_path, [first, ScriptedModel("ok")], story)

    assert len(first.requests) == 5


def test_an_error_in_the_team_s_code_reaches_the_caller(tmp_path: Path) -> None:
    """There is no retry, no baseline and no referral for a mistake in code."""

    async def bug(_: Question, __: Model) -> Draft[Answer]:
        raise ZeroDivisionError

    broken = Task(name="echo", takes=Question, gives=Answer, run=bug, baseline=TASK.baseline)

    with pytest.raises(ZeroDivisionError):
        run_scenario(tmp_path, [ScriptedModel("ok")], asking("ping"), task=broken)


def test_a_failure_of_a_model_is_recognized_in_an_exception_group(tmp_path: Path) -> None:
    """A task may ask models from a `TaskGroup`, which raises their failures in a group."""

    async def ask_twice(question: Question, model: Model) -> Draft[Answer]:
        async def once() -> Draft[Answer]:
            return await TASK.run(question, model)

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(once()) for _ in range(2)]
        return asked[0].result()

    grouped_task = Task(name="echo", takes=Question, gives=Answer, run=ask_twice, baseline=TASK.baseline)

    assert run_scenario(tmp_path, [ScriptedModel(DOWN)], asking("ping"), task=grouped_task).answered_by == "baseline"


def test_a_draft_of_the_wrong_type_is_an_error(tmp_path: Path) -> None:
    """A caller never gets anything but the type of answer that the task declares."""

    async def draft_text(_: Question, __: Model) -> Draft[Any]:
        return Draft("just words", 0.9)

    wrong_task = Task(name="echo", takes=Question, gives=Answer, run=draft_text, baseline=TASK.baseline)

    with pytest.raises(TypeError, match="drafted a str, not a Answer"):
        run_scenario(tmp_path, [ScriptedModel("ok")], asking("ping"), task=wrong_task)


def itself(answer: Answer) -> Answer:
    """Let an answer contain itself."""
    object.__setattr__(answer, "text", answer)
    return answer


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Answer(text="a").model_copy(update={"text": "\ud83d"}), id="half a surrogate pair"),
        pytest.param(Answer(text="a").model_copy(update={"text": b"\xff"}), id="bytes that are no text"),
        pytest.param(itself(Answer(text="a")), id="contains itself"),
        pytest.param(Answer(text="a").model_copy(update={"text": object()}), id="an object"),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_an_answer_that_cannot_be_sent_has_failed(tmp_path: Path, lines: Lines, broken: Answer) -> None:
    """Nothing validates what a task changed after it was made, so it shows only when it becomes JSON."""

    async def draft(_: Question, __: Model) -> Draft[Answer]:
        return Draft(broken, 0.9)

    task = Task(name="echo", takes=Question, gives=Answer, run=draft, baseline=TASK.baseline)
    with pytest.raises(ValueError):  # noqa: PT011 - Pydantic's, of several types
        run_scenario(tmp_path, [ScriptedModel("ok")], asking("ping"), task=task)
    assert [line["outcome"] for line in lines.named("call.finished")] == ["failed"]


@pytest.mark.parametrize("confidence", [Decimal("0.75"), Fraction(3, 4), 0.75, 1, True])
def test_a_confidence_of_any_type_of_number(tmp_path: Path, lines: Lines, confidence: Any) -> None:
    """It is logged, counted and stored as an ordinary number."""

    def baseline(_: Question) -> Draft[Answer]:
        return Draft(Answer(text="a"), confidence)

    task = Task(name="echo", takes=Question, gives=Answer, run=TASK.run, baseline=baseline)
    outcome = run_scenario(tmp_path, [], asking("ping"), task=task)
    assert type(outcome.confidence) is float
    assert [line["confidence"] for line in lines.named("call.finished")] == [float(confidence)]


@pytest.mark.parametrize("mistake", [IndexError(), KeyError("choices"), ValueError(), TypeError(), AttributeError()])
def test_an_error_in_a_vendor_s_library_is_a_failure_of_the_model(tmp_path: Path, mistake: Exception) -> None:
    """The next model is asked, and the worst case of the first one is charged because its cost is unknown."""

    async def story(wiring: Wiring) -> tuple[Any, bool]:
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="2 + 2?"), call)
        assert isinstance(outcome, Answered)
        return outcome.answered_by, call.attempts[0].cost > 10_000_000

    assert run_scenario(tmp_path, [ScriptedModel(mistake), ScriptedModel("Four.")], story) == ("second", True)


def test_a_reply_without_usage_is_charged_at_the_worst_case(tmp_path: Path) -> None:
    """A vendor that does not report tokens may charge for them all the same."""
    silent = ModelResponse([TextPart("Four.")], usage=RequestUsage(details={"unknown": 1}))

    async def story(wiring: Wiring) -> bool:
        call = wiring.service.new_call("alice")
        await wiring.service.answer(Question(text="2 + 2?"), call)
        return call.cost > 10_000_000

    assert run_scenario(tmp_path, [ScriptedModel(silent)], story)
