"""What reviewers do with the review queue, on both databases: no referral is lost, answered twice or overwritten."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from chassis import Draft
from chassis.clock import now
from chassis.contract import FallbackReason
from chassis.errors import NotFound, ReviewConflict
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.store.review_queue import Referral, ReviewQueue
from chassis.store.reviews import LEASE, Assessment, ReviewProgress, Reviews
from sample_task import Answer

ANSWER = '{"text": "Because."}'
ITEMS, WORKERS = 500, 8
REVIEWERS = ("ann", "bob")


def run_story[T](url: str, story: Callable[[Database], Awaitable[T]]) -> T:
    """Return the result of a story, given the database at `url`."""

    async def run() -> T:
        database = await open_database(url, Path())
        try:
            return await story(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def refer(database: Database, count: int) -> list[str]:
    """Refer questions with a draft, the most urgent first, and return their ids."""
    queue = ReviewQueue(database, due_hours=8)
    draft = Draft(Answer(text="?maybe"), 0.1)
    arguments = ("echo", "alice", "c_1", FallbackReason.LOW_CONFIDENCE, '{"text": "why?"}', draft)
    return [(await queue.refer(*arguments)).referral_id for _ in range(count)]


async def found(database: Database, referral_id: str) -> Referral:
    """Return a referral that is there."""
    referral = await ReviewQueue(database, due_hours=8).find(referral_id)
    assert referral
    return referral


async def lease(database: Database, reviewer: str) -> str | None:
    """Return the id of the referral that a reviewer is shown."""
    referral = await Reviews(database).lease_next(reviewer)
    return referral.id if referral else None


def test_two_reviewers_never_lease_the_same_referral(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease lasts while its reviewer comes back, and is free for others after 15 minutes without them."""

    async def story(database: Database) -> None:
        first, second = await refer(database, 2)

        assert [await lease(database, "ann"), await lease(database, "ann")] == [first, first]
        assert [await lease(database, "bob"), await lease(database, "cid")] == [second, None]
        later = now() + LEASE + timedelta(seconds=1)
        monkeypatch.setattr("chassis.store.reviews.now", lambda: later)
        assert [await lease(database, "cid"), await lease(database, "dan")] == [first, second]

    run_story(store_url, story)


def test_an_answer_is_never_overwritten(store_url: str) -> None:
    """The second answer is refused and says who gave the first, whatever the second says and whoever gives it."""

    async def story(database: Database) -> None:
        reviews, [ticket] = Reviews(database), await refer(database, 1)
        await reviews.answer(ticket, ANSWER, "ann", Assessment(tags=("wrong",), note="See page 3."))
        before = await found(database, ticket)

        for late in ("ann", "bob"):
            with pytest.raises(ReviewConflict, match=f"{ticket} was answered by ann on"):
                await reviews.answer(ticket, '{"text": "No."}', late, Assessment(verdict="pass"))
            with pytest.raises(ReviewConflict, match="answered by ann"):
                await reviews.defer(ticket, late)
        with pytest.raises(ReviewConflict, match="answered by ann"):
            await reviews.undo(ticket, "bob")
        with pytest.raises(NotFound):
            await reviews.answer("r_none", ANSWER, "ann")

        assert await found(database, ticket) == before
        assert (before.verdict, before.tags, before.note) == ("fail", ["wrong"], "See page 3.")
        assert [event.action for event in await reviews.events(ticket)] == ["answered"]

    run_story(store_url, story)


def test_a_leased_referral_belongs_to_its_reviewer(store_url: str) -> None:
    """Nobody else can answer or defer it meanwhile, on the command line either."""

    async def story(database: Database) -> None:
        reviews, [ticket] = Reviews(database), await refer(database, 1)
        await reviews.lease_next("ann")

        for change in (partial(reviews.answer, ticket, ANSWER), partial(reviews.defer, ticket)):
            with pytest.raises(ReviewConflict, match=f"ann is reviewing {ticket}"):
                await change("bob")
        await reviews.answer(ticket, ANSWER, "ann")

    run_story(store_url, story)


def test_a_deferred_referral_comes_back_last(store_url: str) -> None:
    """Deferring releases it, and undoing that leases it again."""

    async def story(database: Database) -> None:
        reviews, (first, second) = Reviews(database), await refer(database, 2)
        await reviews.lease_next("ann")
        await reviews.defer(first, "ann")

        assert await lease(database, "ann") == second
        assert await lease(database, "bob") == first
        await reviews.defer(first, "bob")
        await reviews.undo(first, "bob")
        assert await lease(database, "bob") == first
        actions = [(event.reviewer, event.action) for event in await reviews.events(first)]
        assert actions == [
            ("ann", "leased"),
            ("ann", "deferred"),
            ("bob", "leased"),
            ("bob", "deferred"),
            ("bob", "undone"),
        ]

    run_story(store_url, story)


def test_an_answer_can_be_undone_until_its_caller_fetches_it(store_url: str) -> None:
    """Callers never see an answer that is withdrawn later. Both answers stay in the audit trail."""

    async def story(database: Database) -> None:
        reviews, queue, [ticket] = Reviews(database), ReviewQueue(database, 8), await refer(database, 1)
        await reviews.answer(ticket, ANSWER, "ann", Assessment(note="first"))
        await reviews.undo(ticket, "ann")

        undone = await queue.find_for_caller(ticket, "alice")
        assert undone
        assert (undone.answer, undone.answered_at, undone.verdict, undone.note) == (None, None, None, "first")
        await reviews.answer(ticket, ANSWER, "ann")
        assert await queue.find_for_caller(ticket, "mallory") is None
        fetched = await queue.find_for_caller(ticket, "alice")
        assert fetched
        assert fetched.answer == {"text": "Because."}
        with pytest.raises(ReviewConflict, match="and its caller has fetched the answer"):
            await reviews.undo(ticket, "ann")
        assert [event.action for event in await reviews.events(ticket)] == ["answered", "undone", "answered"]

    run_story(store_url, story)


def test_progress_and_tags_are_counted(store_url: str) -> None:
    """Only a reviewer's own answers of today count; tags come from all reviewers, the most frequent first."""

    async def story(database: Database) -> None:
        reviews, tickets = Reviews(database), await refer(database, 4)
        for ticket, reviewer, tags in zip(
            tickets, ("ann", "ann", "bob"), (["late"], ["rude", "late"], ["rude", "late"]), strict=False
        ):
            await reviews.answer(ticket, ANSWER, reviewer, Assessment(tags=tags))
        await reviews.answer(tickets[3], '{"text": "?maybe"}', "ann", Assessment(verdict="pass"))

        assert await reviews.progress("ann") == ReviewProgress(answered=3, failed=2)
        assert await reviews.frequent_tags(limit=9) == ["late", "rude"]
        assert await reviews.frequent_tags(limit=1) == ["late"]

    run_story(store_url, story)


def test_concurrent_reviewers_answer_each_referral_once(store_url: str) -> None:
    """Two reviewers with 8 connections work through 500 referrals. A reviewer may have several windows open."""
    tickets = run_story(store_url, partial(refer, count=ITEMS))

    def work(number: int) -> list[str]:
        return run_story(store_url, partial(answer_everything, worker=number))

    with ThreadPoolExecutor(WORKERS) as workers:
        answered = [ticket for done in workers.map(work, range(WORKERS)) for ticket in done]

    async def outcome(database: Database) -> tuple[list[Referral], Counter[tuple[str, str]]]:
        rows = await database.fetch("SELECT referral_id, reviewer, action FROM review_events")
        events = Counter((row["referral_id"], row["action"]) for row in rows)
        return [await found(database, ticket) for ticket in tickets], events

    referrals, events = run_story(store_url, outcome)
    assert sorted(answered) == sorted(tickets)
    assert all(referral.answer == {"text": f"{referral.answered_by} {referral.id}"} for referral in referrals)
    assert events == Counter({(ticket, action): 1 for ticket in tickets for action in ("leased", "answered")})


async def answer_everything(database: Database, worker: int) -> list[str]:
    """Answer until no work is left, and return the ids of what was answered here."""
    reviews, reviewer, done = Reviews(database), REVIEWERS[worker % len(REVIEWERS)], list[str]()
    while referral := await reviews.lease_next(reviewer):
        try:
            await reviews.answer(referral.id, f'{{"text": "{reviewer} {referral.id}"}}', reviewer)
        except ReviewConflict:
            continue  # the same reviewer was faster in another window
        done.append(referral.id)
    return done
