"""Cached replies that this process cannot use are as good as none."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from chassis.contract import Answered
from chassis.store.opening import open_database
from chassis.store.reply_cache import MAX_REPLY_LENGTH, STORES_PER_CHECK, ReplyCache
from chassis.testing import ScriptedModel, wire_for_tests
from sample_task import TASK, Question


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


def test_a_reply_under_a_former_name_is_asked_for_again(tmp_path: Path) -> None:
    """The name of a model is a label of metrics and stands in the answer, so it must be one of the constraints."""

    async def story() -> tuple[Any, int]:
        model = ScriptedModel("hello")
        async with wire_for_tests(TASK, tmp_path, model, cache={"ttl_seconds": 60}) as wiring:
            for name in ("first", "gone", "\ud83d".encode("utf-8", "replace").decode(), ""):
                with sqlite3.connect(tmp_path / "service.db") as database:
                    database.execute("UPDATE replies SET model = ?", (name,))
                outcome = await wiring.service.answer(Question(text="hi"), wiring.service.new_call("alice"))
                assert isinstance(outcome, Answered)
                assert outcome.answered_by == "first"
            return outcome.answered_by, len(model.requests)

    assert asyncio.run(story()) == ("first", 4)


def test_the_cache_has_a_bound(store_url: str, tmp_path: Path) -> None:
    """The replies that expire first are deleted, and a reply that is too long is not stored."""

    async def story() -> list[int]:
        database = await open_database(store_url, tmp_path)
        try:
            cache = ReplyCache(database, ttl_seconds=3600, max_replies=30)
            for number in range(STORES_PER_CHECK):
                await cache.store(str(number), "first", "{}")
            await cache.store("long", "first", "x" * (MAX_REPLY_LENGTH + 1))
            rows = await database.fetch("SELECT key FROM replies")
            return sorted(int(row["key"]) for row in rows)
        finally:
            await database.close()

    assert asyncio.run(story()) == list(range(STORES_PER_CHECK - 30, STORES_PER_CHECK))
