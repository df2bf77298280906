"""A call while the database cannot be used: what `fallback.database_down` says, never a model unpaid."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample_task import TASK, Question
from short_timeouts import short_timeouts

from chassis.contract import Answered, FallbackReason, Outcome
from chassis.errors import DatabaseUnavailable
from chassis.testing import ScriptedModel, wire_for_tests


def ask(folder: Path, rule: str, question: str, model: ScriptedModel) -> Answered[Any] | DatabaseUnavailable:
    """Ask while another process keeps the database locked, and give up early; return the answer or the refusal."""

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


def test_the_caller_is_refused(tmp_path: Path) -> None:
    """With `refuse` the call ends with 503 and the reason, and nothing was sent."""
    model = ScriptedModel("hello")

    refused = ask(tmp_path, "error", "hi", model)

    assert isinstance(refused, DatabaseUnavailable)
    assert (refused.status, refused.slug, refused.reason) == (503, "database-unavailable", "locked by another process")
    assert model.requests == []


def test_the_baseline_answers_what_it_is_sure_of(tmp_path: Path) -> None:
    """With `baseline` the caller gets an answer, labelled, and nothing was sent."""
    model = ScriptedModel("hello")

    answered = ask(tmp_path, "baseline", "hi", model)

    assert isinstance(answered, Answered)
    assert (answered.answered_by, answered.degraded, answered.fallback_reason) == (
        "baseline",
        True,
        FallbackReason.DATABASE_DOWN,
    )
    assert model.requests == []


def test_what_the_baseline_is_not_sure_of_is_refused(tmp_path: Path) -> None:
    """There is no desk without the database either."""
    refused = ask(tmp_path, "baseline", "why?", ScriptedModel("hello"))

    assert isinstance(refused, DatabaseUnavailable)


def test_a_reply_that_cannot_be_kept_is_given_all_the_same(tmp_path: Path) -> None:
    """The database is gone once the model was asked: the answer was paid for, and its caller gets it."""

    async def reply(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        (tmp_path / "service.db").unlink()
        return ModelResponse([TextPart("hello")], finish_reason="stop")

    async def story() -> Outcome[Any]:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel(reply), cache={"ttl_seconds": 60}) as wiring:
            return await wiring.service.answer(Question(text="hi"), wiring.service.new_call("alice"))

    outcome = asyncio.run(story())

    assert isinstance(outcome, Answered)
    assert outcome.answered_by == "first"


def test_a_desk_that_does_not_answer_keeps_nobody_past_the_deadline(tmp_path: Path) -> None:
    """A database that is too slow for the desk is unavailable, and the caller hears so in time."""

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
    assert late < 0.5  # the patience for a statement alone would have been a second more
