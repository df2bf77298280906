"""Retention: a clock that moves forward deletes exactly what is due, from every table that people's texts are in."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from chassis.call import Call, Deadline, new_call_id
from chassis.clock import now
from chassis.config.constraints import RetentionRules
from chassis.contract import Answered, FallbackReason
from chassis.store.call_history import CallHistory
from chassis.store.credentials import ApiKeys, ReviewSessions
from chassis.store.database import Database
from chassis.store.deletion import EXPIRED, Retention
from chassis.store.feedback import Feedback, FeedbackBox
from chassis.store.opening import open_database
from chassis.store.outbox import Outbox
from chassis.store.reply_cache import ReplyCache
from chassis.store.review_queue import ReviewQueue
from chassis.store.reviews import Reviews
from chassis.telemetry.instruments import NO_INSTRUMENTS
from sample_task import Answer, Question

TEXT = "the secret of a caller"
NOTHING = dict.fromkeys(EXPIRED, 0)


def run_story(url: str, story: Callable[[Database, Retention], Awaitable[None]]) -> None:
    """Run a story with a database at `url`, where referrals are kept for 10 days and the audit trail for 20."""

    async def run() -> None:
        database = await open_database(url, Path())
        rules = RetentionRules(referrals_days=10, audit_days=20, calls_days=10, feedback_days=10)
        try:
            await story(database, Retention(database, rules, NO_INSTRUMENTS))
        finally:
            await database.close()

    asyncio.run(run())


async def refer(database: Database, due_hours: float = 24) -> str:
    """Refer a question, and return the ticket."""
    question = f'{{"text": "{TEXT}"}}'
    queue = ReviewQueue(database, due_hours)
    return (await queue.refer("echo", "alice", "c_1", FallbackReason.NO_MODEL, question, None)).referral_id


async def sweep_after(retention: Retention, days: float) -> dict[str, int]:
    """Sweep so many days from now, and return what was deleted."""
    later = now() + timedelta(days=days)
    with patch("chassis.store.deletion.now", lambda: later):
        return await retention.sweep()


def test_referrals_are_kept_from_when_they_were_due_or_answered(store_url: str) -> None:
    """One that was answered late is kept longer than one that no one answered. A day before, nothing is deleted."""

    async def story(database: Database, retention: Retention) -> None:
        unanswered, late = await refer(database), await refer(database)
        in_five_days = now() + timedelta(days=5)
        with patch("chassis.store.reviews.now", lambda: in_five_days):
            await Reviews(database).answer(late, f'{{"text": "{TEXT}"}}', "ann")

        assert await sweep_after(retention, days=10.9) == NOTHING
        assert await sweep_after(retention, days=11.1) == NOTHING | {"referrals": 1}
        assert await ReviewQueue(database, 1).find(unanswered) is None
        assert await sweep_after(retention, days=14.9) == NOTHING
        assert await sweep_after(retention, days=15.1) == NOTHING | {"referrals": 1}
        assert await sweep_after(retention, days=24.9) == NOTHING
        assert await sweep_after(retention, days=25.1) == NOTHING | {"review_events": 1}

    run_story(store_url, story)


def test_nothing_of_a_caller_is_left(store_url: str, tmp_path: Path) -> None:
    """Every table that could have the text is searched, and the file of SQLite byte by byte."""

    async def story(database: Database, retention: Retention) -> None:
        await Reviews(database).answer(await refer(database), f'{{"text": "{TEXT}"}}', "ann")
        await refer(database)
        history = CallHistory(database, keep_answers=True)
        call = Call(new_call_id(), "alice", Deadline.after(5), max_model_requests=1)
        answered = Answered(Answer(text=TEXT), "gpt", 0.8, degraded=False, fallback_reason=None)
        history.add("echo", call, Question(text=TEXT), answered)
        feedback = FeedbackBox(database, history, ReviewQueue(database, 24), NO_INSTRUMENTS, refer_negative=True)
        await feedback.record(call.id, "alice", Feedback(verdict="negative", comment=TEXT))
        await Outbox(database).add_missing(["webhook"])
        await ReplyCache(database, ttl_seconds=60).store("k", "gpt", TEXT)
        keys = ApiKeys(database)
        reviewer = await keys.find_reviewer(await keys.create("ann", "reviewer"))
        assert reviewer
        await ReviewSessions(database).open(reviewer.caller, reviewer.id)
        assert TEXT in await everything(database)

        deleted = await sweep_after(retention, days=12)

        once = ("replies", "review_sessions", "calls", "feedback")
        assert deleted == NOTHING | dict.fromkeys(once, 1) | {"referrals": 3, "notifications": 2}
        assert TEXT not in await everything(database)
        assert await keys.list_keys() != []

    run_story(store_url, story)
    if store_url.startswith("sqlite"):
        files = [file.read_bytes() for file in tmp_path.glob("store.db*")]
        assert files
        assert not any(TEXT.encode() in content for content in files)


async def everything(database: Database) -> str:
    """Return the rows of all tables."""
    tables = (*EXPIRED, "api_keys", "accounts")
    return str([await database.fetch(f"SELECT * FROM {table}") for table in tables])  # noqa: S608 - ours


def test_what_callers_spent_is_forgotten_after_a_year(store_url: str) -> None:
    """Their names are in the keys. The accounts of all callers together have none, and stay."""

    async def story(database: Database, retention: Retention) -> None:
        today = now().date().isoformat()
        for key in (f"caller-day:alice:{today}", f"day:{today}", f"month:{today[:7]}"):
            await database.execute("INSERT INTO accounts VALUES ($1, 0, 1)", key)

        assert await sweep_after(retention, days=364) == NOTHING
        assert await sweep_after(retention, days=366.1) == NOTHING | {"accounts": 1}
        left = [row["key"] for row in await database.fetch("SELECT key FROM accounts ORDER BY key")]
        assert left == [f"day:{today}", f"month:{today[:7]}"]

    run_story(store_url, story)
