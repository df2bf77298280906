"""Cached replies that this process cannot use are as good as none."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sample_task import TASK, Question

from chassis.contract import Answered
from chassis.testing import ScriptedModel, wire_for_tests


@pytest.mark.parametrize(
    "reply",
    [
        '{"parts": [{"part_kind": "of-a-later-release"}], "kind": "response"}',
        '{"parts": [], "kind": "request"}',
        '{"parts": [{"content": "Fo',
        "[]",
        "null",
        "",
        "\ufeff{}",
        "[" * 10_000,
    ],
)
def test_an_unreadable_reply_is_asked_for_again(tmp_path: Path, reply: str) -> None:
    """Another release wrote it, or its row is damaged: the model is asked, and its reply replaces the row."""

    async def story() -> list[tuple[Any, int]]:
        model = ScriptedModel("hello")
        async with wire_for_tests(TASK, tmp_path, model, cache={"ttl_seconds": 60}) as wiring:

            async def ask() -> tuple[Any, int]:
                outcome = await wiring.service.answer(Question(text="hi"), wiring.service.new_call("alice"))
                assert isinstance(outcome, Answered)
                return outcome.answered_by, len(model.requests)

            first = await ask()
            with sqlite3.connect(tmp_path / "service.db") as database:
                database.execute("UPDATE replies SET reply = ?", (reply,))
            return [first, await ask(), await ask()]

    assert asyncio.run(story()) == [("first", 1), ("first", 2), ("first", 2)]
