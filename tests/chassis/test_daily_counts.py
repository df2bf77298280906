"""The daily counts: each call and each verdict once, whatever happens to the database or to its process."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from chassis import Draft
from chassis.clock import now
from chassis.contract import FallbackReason
from chassis.errors import DatabaseUnavailable, InputNotAllowed, ReviewConflict
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.store.quality_history import DailyCounts, Measure, add_count, bin_of, bin_of_confidence, read_counts
from chassis.store.review_queue import ReviewQueue
from chassis.store.reviews import Assessment, Reviews
from chassis.testing import ScriptedModel, wire_for_tests
from database_story import run_with_database
from sample_task import TASK, Answer, Question

MEASURES: tuple[Measure, ...] = get_args(Measure.__value__)
YESTERDAY = (now() - timedelta(days=1)).date()


async def counts(database: Database, *measures: Measure) -> dict[str, int]:
    """Return the counts of the sample task since yesterday, by measure and value."""
    total = Counter[str]()
    for count in await read_counts(database, "echo", measures or MEASURES, YESTERDAY):
        total[f"{count.measure} {count.value}"] += count.count
    return dict(total)


def test_every_call_is_counted_once(tmp_path: Path) -> None:
    """An answer of a model, one of the baseline, a referral and a refusal. The counts survive the service."""

    async def story() -> dict[str, int]:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello", "?maybe", "?maybe")) as wiring:
            for text in ("tell me", "how", "why", "my card is 4111 1111 1111 1111"):
                call = wiring.service.new_call("ann")
                try:
                    await wiring.service.answer(Question(text=text), call)
                except InputNotAllowed:
                    assert "card" in text
        database = await open_database("sqlite:///service.db", tmp_path)
        try:
            return await counts(database, "outcome", "answered_by", "fallback_reason", "confidence", "cost")
        finally:
            await database.close()

    found = asyncio.run(story())

    assert found.pop("cost nano_usd") > 0
    assert found == {
        "answered_by baseline": 1,
        "answered_by first": 1,
        "confidence 0.80": 1,
        "confidence 0.90": 1,
        "fallback_reason low_confidence": 2,
        "outcome answered": 2,
        "outcome referred": 1,
        "outcome refused": 1,
    }


def test_no_text_of_a_call_is_counted(tmp_path: Path) -> None:
    """Of a question and its answer there is only the length."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("confidential reply")) as wiring:
            await wiring.service.answer(Question(text="confidential words"), wiring.service.new_call("ann"))
            await wiring.service.call_log.daily_counts.save(wiring.database)
            found = await counts(wiring.database)
            assert {"question_length 32", "answer_length 32"} <= set(found)
            assert "confidential" not in str(await wiring.database.fetch("SELECT * FROM daily_counts"))

    asyncio.run(story())


def test_counts_wait_for_the_database(tmp_path: Path) -> None:
    """What could not be saved is saved later, once, together with what was counted since."""

    async def story() -> None:
        broken, working = [await open_database(f"sqlite:///{name}.db", tmp_path) for name in ("broken", "working")]
        daily_counts = DailyCounts()
        daily_counts.add("echo", [("outcome", "answered")])
        (tmp_path / "broken.db").unlink()
        with pytest.raises(DatabaseUnavailable):
            await daily_counts.save(broken)
        daily_counts.add("echo", [("outcome", "answered")])
        for _ in range(2):
            await daily_counts.save(working)
        assert await counts(working) == {"outcome answered": 2}
        await broken.close()
        await working.close()

    asyncio.run(story())


def test_several_processes_add_to_the_same_counts(store_url: str) -> None:
    """Their transactions meet in the same rows, and neither is lost nor blocked for good."""

    async def story(database: Database) -> None:
        processes = [DailyCounts() for _ in range(4)]
        for process in processes:
            for value in ("answered", "referred", "refused"):
                process.add("echo", [("outcome", value)], 10)
        await asyncio.gather(*(process.save(database) for process in processes))
        assert await counts(database) == {"outcome answered": 40, "outcome referred": 40, "outcome refused": 40}

    run_with_database(store_url, story)


def test_verdicts_are_counted_with_the_review(store_url: str) -> None:
    """An undone verdict is taken back. A refused second answer, or a referral without a draft, counts nothing."""

    async def story(database: Database) -> None:
        queue, reviews = ReviewQueue(database, 8), Reviews(database)
        arguments = ("echo", "ann", "c_1", FallbackReason.LOW_CONFIDENCE, '{"text": "why?"}')
        draft = Draft(Answer(text="?maybe"), 0.1)
        first, second = [(await queue.refer(*arguments, draft)).referral_id for _ in range(2)]
        without_draft = (await queue.refer(*arguments, None)).referral_id
        for ticket in (first, second, without_draft):
            await reviews.answer(ticket, "{}", "ada", Assessment(verdict="fail"))
        with pytest.raises(ReviewConflict):
            await reviews.answer(first, "{}", "bob")
        assert await counts(database) == {"review fail": 2}

        await reviews.undo(first, "ada")
        await reviews.undo(first, "ada")
        with pytest.raises(ReviewConflict):
            await reviews.undo(second, "bob")
        assert await counts(database) == {"review fail": 1}
        await reviews.answer(first, "{}", "ada", Assessment(verdict="pass"))
        assert await counts(database) == {"review fail": 1, "review pass": 1}

    run_with_database(store_url, story)


def test_a_count_belongs_to_its_day_and_task(store_url: str) -> None:
    """Other days, tasks and measures are not read."""

    async def story(database: Database) -> None:
        async with database.transaction() as tx:
            for task in ("echo", "other"):
                for days in (0, 1, 2):
                    day = YESTERDAY + timedelta(days=1 - days)
                    await add_count(tx, task, "feedback", "positive", 10**days, day)
            await add_count(tx, "echo", "review", "pass")
        assert await counts(database, "feedback") == {"feedback positive": 11}
        oldest, *_ = await read_counts(database, "echo", ["feedback"], YESTERDAY - timedelta(days=9))
        assert (oldest.day, oldest.count) == (YESTERDAY - timedelta(days=1), 100)

    run_with_database(store_url, story)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While the database is down, what is counted already goes on, and a new number is left out."""
    monkeypatch.setattr("chassis.store.quality_history.MAX_WAITING", 2)

    async def story(database: Database) -> None:
        daily_counts = DailyCounts()
        daily_counts.add("echo", [("outcome", value) for value in ("answered", "referred", "refused", "answered")])
        await daily_counts.save(database)
        assert await counts(database) == {"outcome answered": 2, "outcome referred": 1}

    run_with_database(f"sqlite:///{tmp_path}/store.db", story)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(-1, "0"), (0, "0"), (0.5, "0.5"), (1, "1"), (1.01, "1.189"), (30, "32"), (33, "38.05"), (1e6, "1.049e+06")],
)
def test_a_bin_is_named_by_its_upper_bound(number: float, expected: str) -> None:
    """Its bounds grow by 19 %, so a number is at most that far below the name of its bin."""
    assert bin_of(number) == expected


@pytest.mark.parametrize(("confidence", "expected"), [(0, "0.00"), (0.3, "0.30"), (0.301, "0.35"), (1, "1.00")])
def test_a_bin_of_confidence_is_a_twentieth(confidence: float, expected: str) -> None:
    """The bound belongs to the bin below it, also where a binary fraction is a little above the decimal one."""
    assert bin_of_confidence(confidence) == expected


def test_days_are_those_of_utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A call a second before midnight counts for the day that ends."""
    monkeypatch.setattr("chassis.store.quality_history.now", lambda: datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))

    async def story(database: Database) -> None:
        daily_counts = DailyCounts()
        daily_counts.add("echo", [("outcome", "answered")])
        await daily_counts.save(database)
        [row] = await database.fetch("SELECT day FROM daily_counts")
        assert row["day"] == "2026-03-01"

    run_with_database(f"sqlite:///{tmp_path}/store.db", story)
