"""A call while the database is unavailable: `fallback.database_down` applies, and no model is asked."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from chassis.contract import Answered, FallbackReason, Outcome
from chassis.errors import DatabaseUnavailable
from chassis.testing import ScriptedModel, wire_for_tests
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample_task import TASK, Question
from short_timeouts import short_timeouts


def ask(folder: Path, rule: str, question: str, model: ScriptedModel) -> Answered[Any] | DatabaseUnavailable:
    """Ask while another process has locked the database, with a short timeout. Return the answer or the error."""

    async def story() -> Answered[Any] | DatabaseUnavailable:
        async with wire_for_tests(TASK, folder, model, fallback={"database_down": rule}) as wiring:
            other = sqlite3.connect(folder / "service.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            try:
                outcome = await wiring.service.answer(Question(text=question), wiring.service.new_call("alice"))
            except DatabaseUnavailable as error:
                return error
            finally:
                other.close()
            assert isinstance(outcome, Answered)
            return outcome

    with short_timeouts():
        return asyncio.run(story())


def test_the_caller_gets_an_error(tmp_path: Path) -> None:
    """With `error` the call ends with 503 and the reason, and no model was asked."""
    model = ScriptedModel("hello")

    refused = ask(tmp_path, "error", "hi", model)

    assert isinstance(refused, DatabaseUnavailable)
    assert (refused.status, refused.slug, refused.reason) == (503, "database-unavailable", "locked by another process")
    assert model.requests == []


def test_the_baseline_answers(tmp_path: Path) -> None:
    """With `baseline` the caller gets an answer, marked as degraded, and no model was asked."""
    model = ScriptedModel("hello")

    answered = ask(tmp_path, "baseline", "hi", model)

    assert isinstance(answered, Answered)
    assert (answered.answered_by, answered.degraded, answered.fallback_reason) == (
        "baseline",
        True,
        FallbackReason.DATABASE_DOWN,
    )
    assert model.requests == []


def test_an_unsure_baseline_is_an_error(tmp_path: Path) -> None:
    """Without the database there is no review queue either."""
    refused = ask(tmp_path, "baseline", "why?", ScriptedModel("hello"))

    assert isinstance(refused, DatabaseUnavailable)


def test_a_reply_that_cannot_be_cached_is_still_returned(tmp_path: Path) -> None:
    """The database disappears while the model answers. The answer was paid for, and the caller gets it."""

    async def reply(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        (tmp_path / "service.db").unlink()
        return ModelResponse([TextPart("hello")], finish_reason="stop")

    async def story() -> Outcome[Any]:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel(reply), cache={"ttl_seconds": 60}) as wiring:
            return await wiring.service.answer(Question(text="hi"), wiring.service.new_call("alice"))

    outcome = asyncio.run(story())

    assert isinstance(outcome, Answered)
    assert outcome.answered_by == "first"


def test_a_slow_review_queue_does_not_delay_the_caller(tmp_path: Path) -> None:
    """If the referral cannot be stored before the deadline, the caller gets an error in time."""

    async def story() -> tuple[str, float]:
        async with wire_for_tests(TASK, tmp_path, latency={"deadline_seconds": 1}) as wiring:
            other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            call = wiring.service.new_call("alice")
            with pytest.raises(DatabaseUnavailable) as refusal:
                await wiring.service.answer(Question(text="why?"), call)
            other.close()
            return refusal.value.reason, time.monotonic() - call.deadline.at

    reason, late = asyncio.run(story())

    assert reason == "too slow"
    assert late < 0.5  # the timeout of a statement alone is one second longer
