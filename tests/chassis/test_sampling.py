"""The random sample of answers, second reviews that are blind, and how far reviewers agree."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from datetime import date
from pathlib import Path

import pytest
from chassis.call import Call, Deadline, new_call_id
from chassis.contract import Answered, FallbackReason
from chassis.errors import ReviewConflict
from chassis.store.agreement import VerdictPairs, agreement_of, reviewer_agreement
from chassis.store.call_history import CallHistory
from chassis.store.credentials import ApiKeys
from chassis.store.database import Database
from chassis.store.feedback import Feedback
from chassis.store.opening import open_database
from chassis.store.outbox import Outbox
from chassis.store.quality_history import read_counts
from chassis.store.review_queue import MAX_OPEN_REVIEWS, ReviewQueue
from chassis.store.reviews import Assessment, Reviews
from pydantic import BaseModel
from review_desk import Desk, open_desk, send
from sample_task import Answer, Question

ANSWERED: Answered[BaseModel] = Answered(Answer(text="HELLO"), "gpt", 0.8, degraded=False, fallback_reason=None)
PASS = Assessment(verdict="pass")


def run_story(url: str, story: Callable[[Database], Awaitable[None]]) -> None:
    """Run a story with a database at `url`, where ann and bob may review."""

    async def run() -> None:
        database = await open_database(url, Path())
        for reviewer in ("ann", "bob"):
            await ApiKeys(database).create(reviewer, "reviewer")
        try:
            await story(database)
        finally:
            await database.close()

    asyncio.run(run())


async def answer_calls(database: Database, count: int, share: float, *, keep_answers: bool = False) -> None:
    """Answer calls, of which a share is sampled."""
    history = CallHistory(database, keep_answers=keep_answers, sample_share=share)
    for _ in range(count):
        call = Call(new_call_id(), "alice", Deadline.after(5), max_model_requests=1)
        history.add("echo", call, Question(text="hello"), ANSWERED)
    await history.flush()


@pytest.mark.parametrize("keep_answers", [False, True])
def test_a_share_of_the_answers_is_sampled(store_url: str, *, keep_answers: bool) -> None:
    """Each answer has the same chance. Nothing else of them is kept, unless feedback needs it."""

    async def story(database: Database) -> None:
        await answer_calls(database, 500, 0.2, keep_answers=keep_answers)

        sample = await ReviewQueue(database, 8).open_referrals()
        assert 50 < len(sample) < 150  # 100, and five standard deviations
        assert {(each.source, str(each.draft), each.confidence) for each in sample} == {
            ("sample", "{'text': 'HELLO'}", 0.8)
        }
        assert len(await database.fetch("SELECT id FROM calls")) == (500 if keep_answers else 0)

    run_story(store_url, story)


def test_the_sample_stops_when_people_fall_behind(store_url: str) -> None:
    """There is room for 200, and callers who wait are served before them."""

    async def story(database: Database) -> None:
        queue, reviews = ReviewQueue(database, due_hours=1000), Reviews(database)
        await answer_calls(database, MAX_OPEN_REVIEWS + 50, 1)
        urgent = await queue.refer("echo", "alice", "c_1", FallbackReason.NO_MODEL, "{}", None)

        assert len(await queue.open_referrals()) == MAX_OPEN_REVIEWS + 1
        first = await reviews.lease_next("ann")
        assert first
        assert first.id == urgent.referral_id

    run_story(store_url, story)


def test_no_one_is_called_for_a_sample(store_url: str) -> None:
    """Only referrals whose caller waits are announced, or count as overdue."""

    async def story(database: Database) -> None:
        await answer_calls(database, 3, 1)
        await database.execute("UPDATE referrals SET due_at = '2020-01-01T00:00:00+00:00'")
        outbox = Outbox(database)
        await outbox.add_missing(["webhook"])

        assert await ReviewQueue(database, 8).count_open() == (3, 0)
        assert await outbox.take_due() == []

    run_story(store_url, story)


def test_a_second_review_is_for_another_reviewer(store_url: str) -> None:
    """The first reviewer cannot get it, answer it or defer it. Only drafts are reviewed twice, and no second review."""

    async def story(database: Database) -> None:
        reviews, queue = Reviews(database, second_share=1), ReviewQueue(database, 8)
        await queue.refer("echo", "alice", "c_1", FallbackReason.NO_MODEL, "{}", None)
        await answer_calls(database, 1, 1)
        for verdict in (Assessment(), PASS):
            referral = await reviews.lease_next("ann")
            assert referral
            await reviews.answer(referral.id, None, "ann", verdict)

        [second] = await queue.open_referrals()
        assert (second.source, second.verdict, second.draft) == ("second", None, {"text": "HELLO"})
        assert await reviews.lease_next("ann") is None
        for attempt in (reviews.answer(second.id, None, "ann"), reviews.defer(second.id, "ann")):
            with pytest.raises(ReviewConflict, match="another reviewer"):
                await attempt
        leased = await reviews.lease_next("bob")
        assert leased
        assert leased.id == second.id
        await reviews.answer(second.id, None, "bob")

        assert await queue.open_referrals() == []
        agreement = await reviewer_agreement(database)
        assert agreement
        assert (agreement.pairs, agreement.raw.value) == (1, 0)
        counts = await read_counts(database, "echo", ["review", "sample"], date.min)
        assert [(count.measure, count.value, count.count) for count in counts] == [("sample", "pass", 1)]

    run_story(store_url, story)


def test_an_undone_review_is_not_repeated(store_url: str) -> None:
    """Its second review is withdrawn, unless someone is at it; saved again, it is reviewed twice, not three times."""

    async def story(database: Database) -> None:
        reviews, queue = Reviews(database, second_share=1), ReviewQueue(database, 8)
        await answer_calls(database, 1, 1)
        referral = await reviews.lease_next("ann")
        assert referral
        for _ in range(2):
            await reviews.answer(referral.id, None, "ann", PASS)
            assert [each.source for each in await queue.open_referrals()] == ["second"]
            await reviews.undo(referral.id, "ann")
            assert [each.source for each in await queue.open_referrals()] == ["sample"]
        await reviews.answer(referral.id, None, "ann", PASS)
        await reviews.lease_next("bob")
        await reviews.undo(referral.id, "ann")
        await reviews.answer(referral.id, None, "ann", PASS)
        assert [each.source for each in await queue.open_referrals()] == ["second"]

    run_story(store_url, story)


def test_one_reviewer_has_no_second_reviews(store_url: str) -> None:
    """They would wait for ever."""

    async def story(database: Database) -> None:
        reviews = Reviews(database, second_share=1)
        await database.execute("UPDATE api_keys SET revoked_at = '2020-01-01' WHERE caller = 'bob'")
        await answer_calls(database, 1, 1)
        referral = await reviews.lease_next("ann")
        assert referral
        await reviews.answer(referral.id, None, "ann", PASS)
        assert await ReviewQueue(database, 8).open_referrals() == []

    run_story(store_url, story)


@pytest.mark.parametrize(
    ("pairs", "raw", "kappa", "interval"),
    [
        # Both pass, first only, second only, both fail.
        ((20, 5, 10, 15), 0.7, 0.4, (0.125, 0.618)),
        ((45, 15, 25, 15), 0.6, 0.1304, (-0.0826, 0.3273)),
        ((25, 35, 5, 35), 0.6, 0.2593, (0.0779, 0.4270)),
        ((10, 0, 0, 10), 1.0, 1.0, (0.678, 1.0)),
        ((0, 10, 10, 0), 0.0, -1.0, (-1.0, -0.678)),
    ],
)
def test_kappa_has_the_published_values(
    pairs: tuple[int, int, int, int], raw: float, kappa: float, interval: tuple[float, float]
) -> None:
    """The first three are the examples of the article on Cohen's kappa in Wikipedia."""
    both, first, second, neither = pairs
    agreement = agreement_of(
        {("pass", "pass"): both, ("pass", "fail"): first, ("fail", "pass"): second, ("fail", "fail"): neither}
    )

    assert agreement
    assert agreement.kappa
    assert (agreement.pairs, agreement.raw.value) == (sum(pairs), raw)
    assert agreement.kappa.value == pytest.approx(kappa, abs=1e-4)
    assert (agreement.kappa.low, agreement.kappa.high) == pytest.approx(interval, abs=5e-4)


@pytest.mark.parametrize("pairs", [{("pass", "pass"): 7}, {("fail", "fail"): 1}])
def test_kappa_is_undefined_if_all_verdicts_are_equal(pairs: VerdictPairs) -> None:
    """Chance alone would agree as well, so the agreement says nothing."""
    agreement = agreement_of(pairs)

    assert agreement
    assert (agreement.raw.value, agreement.kappa) == (1, None)
    assert agreement_of({}) is None


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Desk]:
    """Serve the sample, and review everything twice."""
    with open_desk(tmp_path, review={"second_share": 1}) as opened:
        yield opened


def test_the_reviewer_sees_what_the_caller_said(desk: Desk) -> None:
    """The comment and the correction are beside the question, as plain text."""
    wiring, call = desk.service.wiring, Call(new_call_id(), "alice", Deadline.after(5), max_model_requests=1)
    wiring.call_history.add("shout", call, Question(text="hello"), ANSWERED)
    feedback = Feedback(verdict="negative", comment="<i>Too</i> loud", correction='{"text": "Hello there."}')
    desk.service.run(wiring.feedback.record(call.id, "alice", feedback))

    page = desk.signed_in("ann").get("/review").text

    assert "The caller was not content with this answer." in page
    assert "&lt;i&gt;Too&lt;/i&gt; loud</dd>" in page
    assert ">Hello there.</dd>" in page


def test_a_sampled_answer_fails_without_a_correction(desk: Desk) -> None:
    """No caller waits for one. The page of the second reviewer shows nothing of the first review."""
    desk.service.run(answer_calls(desk.service.wiring.database, 1, 1))
    ann, bob = desk.signed_in("ann"), desk.signed_in("bob")
    [sample] = desk.service.run(desk.service.wiring.review_queue.open_referrals())

    page = ann.get("/review").text
    response = send(ann, sample.id, "fail", answer="HELLO", tag="off-topic", note="a private note")

    assert "This answer is in the random sample." in page
    assert (response.status_code, response.headers["Location"]) == (303, f"/review?after={sample.id}")
    second = bob.get("/review").text
    assert "Another reviewer has reviewed this answer; the verdict is hidden." in second
    assert "a private note" not in second
    assert "ann" not in second
    assert " checked" not in second
    assert "All done" in ann.get("/review").text
