"""The review queue has bounds, and a damaged row in it stops neither a caller nor a reviewer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from chassis.contract import FallbackReason
from chassis.errors import Overloaded
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.store.review_queue import REFERRALS_PER_CHECK, ReviewQueue
from chassis.store.reviews import Reviews


def in_database[T](url: str, root: Path, story: Callable[[Database], Awaitable[T]]) -> T:
    """Return the result of a story with a new database."""

    async def run() -> T:
        database = await open_database(url, root)
        try:
            return await story(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def refer(queue: ReviewQueue, caller: str = "alice") -> str:
    """Add a question, and return its ticket."""
    reason = FallbackReason.LOW_CONFIDENCE
    return (await queue.refer("help", caller, "c_1", reason, '{"text": "why?"}', None)).referral_id


def test_the_queue_has_a_bound(store_url: str, tmp_path: Path) -> None:
    """For one caller and for all; an answer makes room."""

    async def story(database: Database) -> None:
        queue = ReviewQueue(database, 8, max_open=5, max_open_per_caller=3)
        tickets = [await refer(queue) for _ in range(3)]
        with pytest.raises(Overloaded, match="already wait for a person"):
            await refer(queue)
        for _ in range(2):
            await refer(queue, "bob")
        with pytest.raises(Overloaded):
            await refer(queue, "bob")
        assert (await queue.count_open())[0] == 5
        await Reviews(database).answer(tickets[0], "{}", "ada")
        await refer(queue)

    in_database(store_url, tmp_path, story)


def test_answered_referrals_have_a_bound(store_url: str, tmp_path: Path) -> None:
    """The oldest answers are deleted, open referrals never."""

    async def story(database: Database) -> list[bool]:
        queue, tickets = ReviewQueue(database, 8, max_answered=3), list[str]()
        for number in range(REFERRALS_PER_CHECK):
            tickets.append(await refer(queue))
            if number % 10 == 1:
                await Reviews(database).answer(tickets[-1], "{}", "ada")
        return [await queue.find(ticket) is not None for ticket in tickets]

    kept = in_database(store_url, tmp_path, story)
    assert [number for number, is_kept in enumerate(kept) if not is_kept] == [1, 11, 21, 31, 41, 51, 61]


@pytest.mark.parametrize("damaged", ["", "{", "null", "7", "[1]", "[" * 10_000, '"text"', "\u2028"])
@pytest.mark.parametrize("column", ["question", "draft", "answer", "tags", "fallback_reason"])
def test_a_damaged_row_can_be_read(tmp_path: Path, column: str, damaged: str) -> None:
    """Another release wrote it, or a person repaired it by hand: whatever stands there is shown."""

    async def story(database: Database) -> None:
        queue = ReviewQueue(database, 8)
        ticket = await refer(queue)
        await database.execute(f"UPDATE referrals SET {column} = $1", damaged)  # noqa: S608 - one of ours
        [listed], found = await queue.open_referrals(), await queue.find(ticket)
        leased = await Reviews(database).lease_next("ada")
        assert found == listed
        assert leased is not None
        shown = getattr(found, column)
        assert shown in ({"unreadable": damaged}, damaged, [], ["1"])

    in_database(f"sqlite:///{tmp_path}/store.db", tmp_path, story)
