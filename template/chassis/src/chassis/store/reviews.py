"""What reviewers do with the review queue: lease a referral, answer it, defer it, undo that.

Several reviewers may work at the same time. Every change is one `UPDATE`, on the condition that the referral is open
and not leased by another reviewer. The one who comes second changes nothing and gets a `ReviewConflict`.
"""

import hashlib
import json
import random
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import NotFound, ReviewConflict
from chassis.store.database import Connection, Database, Row
from chassis.store.quality_history import DriftAlarms, Measure, add_count
from chassis.store.review_queue import (
    CALLER_WAITS,
    MAX_OPEN_REVIEWS,
    REVIEW_DUE,
    Referral,
    ReviewVerdict,
    referral_of,
)

LEASE = timedelta(minutes=15)
"""The time for which a referral is kept for the reviewer who saw it last."""
REVIEWS_WITH_TAGS = 200
"""The number of latest reviews whose tags are offered again."""
FREE = (
    "answered_at IS NULL AND (leased_by IS NULL OR leased_by = $2 OR leased_until <= $3)"
    " AND (first_reviewer IS NULL OR first_reviewer <> $2)"
)
"""Whether the reviewer `$2` may change a referral at the time `$3`."""
NEXT = f"""SELECT *, CASE WHEN leased_by = $2 AND leased_until > $3 THEN leased_until ELSE $1 END AS own
    FROM referrals WHERE {FREE}
    ORDER BY own DESC, COALESCE(deferred_at, $1), CASE WHEN {CALLER_WAITS} THEN 0 ELSE 1 END, due_at, id LIMIT 1"""  # noqa: S608
LEASING = f"""UPDATE referrals SET leased_by = $2, leased_until = $4
    WHERE id = $1 AND COALESCE(leased_by, '') = $5 AND {FREE}"""  # noqa: S608
CLOSING = f"""UPDATE referrals SET answer = $4, answered_by = $2, answered_at = $3, verdict = $5, tags = $6, note = $7,
    leased_by = NULL, leased_until = NULL WHERE id = $1 AND {FREE}"""  # noqa: S608
DEFERRING = f"""UPDATE referrals SET leased_by = NULL, leased_until = NULL, deferred_at = $3
    WHERE id = $1 AND {FREE}"""  # noqa: S608
REOPENING = f"""UPDATE referrals SET answer = NULL, answered_by = NULL, answered_at = NULL, verdict = NULL,
    deferred_at = NULL, leased_by = $2, leased_until = $4
    WHERE id = $1 AND (({FREE}) OR (answered_by = $2 AND fetched_at IS NULL))"""  # noqa: S608
LOCKING = "UPDATE referrals SET note = note WHERE id = $1"
"""Locks a referral, so that its verdict cannot be taken back in two windows at the same time."""
JUDGED = """SELECT task, source, verdict, answered_at FROM referrals
    WHERE id = $1 AND verdict IS NOT NULL AND draft IS NOT NULL"""
COUNTED: Mapping[str, Measure] = {"fallback": "review", "sample": "sample"}
"""By the source of a referral, what its verdict is counted as. What callers complain about is a biased choice, and a
second review is of the same answer."""
SECOND_REVIEW = f"""INSERT INTO referrals (id, source, task, caller, call_id, question, draft, confidence, created_at,
        due_at, second_of, first_reviewer)
    SELECT $3, 'second', task, caller, call_id, question, draft, confidence, $4, $5, id, $2 FROM referrals
    WHERE id = $1 AND source <> 'second' AND draft IS NOT NULL
        AND EXISTS (SELECT 1 FROM api_keys WHERE role = 'reviewer' AND revoked_at IS NULL AND caller <> $2)
        AND (SELECT COUNT(*) FROM referrals WHERE answered_at IS NULL AND source = 'second') < {MAX_OPEN_REVIEWS}
    ON CONFLICT DO NOTHING"""  # noqa: S608
WITHDRAWING = "DELETE FROM referrals WHERE second_of = $1 AND answered_at IS NULL AND leased_by IS NULL"
log = structlog.get_logger()

type ReviewAction = Literal["signed_in", "leased", "answered", "deferred", "undone", "alarm_closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a reviewer says about a draft.

    Args:
        verdict: Whether it was right.
        tags: What was wrong with it.
        note: Anything else.
    """

    verdict: ReviewVerdict = "fail"
    tags: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """An entry of the audit trail. Nothing changes or deletes one before its retention ends. The time is UTC."""

    at: datetime
    reviewer: str
    action: ReviewAction
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How many referrals a reviewer has answered today (UTC), and how many of these drafts were wrong."""

    answered: int
    failed: int


class Reviews:
    """The work of the reviewers.

    Args:
        database: Where the referrals and the audit trail are stored.
        second_share: The share of reviews that a second reviewer repeats.
    """

    def __init__(self, database: Database, second_share: float = 0) -> None:
        self._database, self._second_share = database, second_share

    async def lease_next(self, reviewer: str) -> Referral | None:
        """Return the referral to answer next, leased for 15 minutes from now, or None if no work is left.

        It is the one that the reviewer leased last. Without one, it is the most urgent one that is free.
        """
        while True:
            moment = now()
            rows = await self._database.fetch(NEXT, "", reviewer, to_timestamp(moment))
            if not rows:
                return None
            # Selecting and leasing are two statements; the second one repeats the condition, so only one reviewer gets
            # it.
            if await self._lease(referral := referral_of(rows[0]), reviewer, moment):
                return referral
            # Another reviewer was faster, or this one in another window.

    async def _lease(self, referral: Referral, reviewer: str, moment: datetime) -> bool:
        async with self._database.transaction() as tx:
            until, before = to_timestamp(moment + LEASE), referral.leased_by or ""
            leased = await tx.execute(LEASING, referral.id, reviewer, to_timestamp(moment), until, before)
            if leased and referral.leased_by != reviewer:
                await record_event(tx, reviewer, "leased", referral.id)
        return leased > 0

    async def answer(
        self, referral_id: str, answer: str | None, reviewer: str, assessment: Assessment = Assessment()
    ) -> None:
        """Record a person's answer. Its caller can fetch it from then on.

        Args:
            referral_id: The ticket.
            answer: The answer as JSON of the task's output type, or None if no caller waits for it.
            reviewer: The person who answers.
            assessment: What they say about the draft.

        Raises:
            NotFound: There is no such referral.
            ReviewConflict: It is answered already, or another reviewer has leased it.
        """
        tags = json.dumps(list(assessment.tags))
        async with self._database.transaction() as tx:
            closed = await tx.execute(
                CLOSING,
                referral_id,
                reviewer,
                to_timestamp(now()),
                answer,
                assessment.verdict,
                tags,
                assessment.note,
            )
            if closed:
                # No text: the audit trail outlives the question and its answer, which may name people.
                fingerprint = hashlib.sha256(answer.encode()).hexdigest() if answer is not None else None
                details = {"verdict": assessment.verdict, "answer_sha256": fingerprint}
                await record_event(tx, reviewer, "answered", referral_id, details)
                await self._choose_for_second_review(tx, referral_id, reviewer)
                await _count_verdict(tx, await tx.fetch(JUDGED, referral_id), 1)
        if not closed:
            raise await self._conflict(referral_id)
        log.info("referral.answered", referral_id=referral_id, verdict=assessment.verdict)

    async def _choose_for_second_review(self, tx: Connection, referral_id: str, reviewer: str) -> None:
        """Now and then, add the draft to the queue again, for another reviewer."""
        if random.random() < self._second_share:  # noqa: S311 - not a secret
            second_id, moment = "r_" + secrets.token_hex(8), now()
            due_at = to_timestamp(moment + REVIEW_DUE)
            await tx.execute(SECOND_REVIEW, referral_id, reviewer, second_id, to_timestamp(moment), due_at)

    async def defer(self, referral_id: str, reviewer: str) -> None:
        """Release a referral and move it behind all others.

        Raises:
            NotFound: There is no such referral.
            ReviewConflict: It is answered already, or another reviewer has leased it.
        """
        async with self._database.transaction() as tx:
            deferred = await tx.execute(DEFERRING, referral_id, reviewer, to_timestamp(now()))
            if deferred:
                await record_event(tx, reviewer, "deferred", referral_id)
        if not deferred:
            raise await self._conflict(referral_id)

    async def undo(self, referral_id: str, reviewer: str) -> None:
        """Lease a referral again that the reviewer has answered or deferred. Its tags and its note are kept.

        Raises:
            NotFound: There is no such referral.
            ReviewConflict: The caller has fetched the answer, someone else gave it, or another reviewer is at it.
        """
        moment = now()
        async with self._database.transaction() as tx:
            await tx.execute(LOCKING, referral_id)
            # Read before it is reopened: afterwards the row no longer says what was counted.
            judged = await tx.fetch(JUDGED, referral_id)
            reopened = await tx.execute(
                REOPENING, referral_id, reviewer, to_timestamp(moment), to_timestamp(moment + LEASE)
            )
            if reopened:
                await record_event(tx, reviewer, "undone", referral_id)
                await _count_verdict(tx, judged, -1)
                await tx.execute(WITHDRAWING, referral_id)
        if not reopened:
            raise await self._conflict(referral_id)
        log.info("referral.reopened", referral_id=referral_id)

    async def close_alarm(self, alarm_id: str, reviewer: str, *, accept: bool) -> None:
        """Close an alarm of quality drift, as `DriftAlarms.close` does, and record who did it.

        Raises:
            NotFound: No alarm with this id is open.
        """
        async with self._database.transaction() as tx:
            await DriftAlarms(tx).close(alarm_id, accept=accept)
            await record_event(tx, reviewer, "alarm_closed", details={"alarm_id": alarm_id, "accepted": accept})

    async def _conflict(self, referral_id: str) -> NotFound | ReviewConflict:
        """Return why nothing was changed."""
        rows = await self._database.fetch("SELECT * FROM referrals WHERE id = $1", referral_id)
        if not rows:
            return NotFound(f"There is no referral {referral_id!r}")
        referral = referral_of(rows[0])
        if referral.answered_at is None and referral.leased_by is None:
            return ReviewConflict(f"{referral_id} is a second review, which is for another reviewer than the first")
        if referral.answered_at is None:
            return ReviewConflict(f"{referral.leased_by} is reviewing {referral_id}")
        answered = f"answered by {referral.answered_by} on {referral.answered_at:%Y-%m-%d %H:%M} UTC"
        fetched = ", and its caller has fetched the answer" if referral.fetched_at else ""
        return ReviewConflict(f"{referral_id} was {answered}{fetched}")

    async def progress(self, reviewer: str) -> ReviewProgress:
        """Return what a reviewer has done today."""
        # UTC, as everywhere: reviewers of one service may sit in several time zones.
        midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
        [row] = await self._database.fetch(
            "SELECT COUNT(*) AS answered, SUM(CASE WHEN verdict = 'fail' THEN 1 ELSE 0 END) AS failed"
            " FROM referrals WHERE answered_by = $1 AND answered_at >= $2",
            reviewer,
            to_timestamp(midnight),
        )
        return ReviewProgress(row["answered"], row["failed"] or 0)

    async def frequent_tags(self, limit: int) -> list[str]:
        """Return the tags of the latest reviews, the most frequent first."""
        rows = await self._database.fetch(
            "SELECT tags FROM referrals WHERE answered_at IS NOT NULL ORDER BY answered_at DESC LIMIT $1",
            REVIEWS_WITH_TAGS,
        )
        counts = Counter(tag for row in rows for tag in json.loads(row["tags"]))
        return [tag for tag, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]]

    async def events(self, referral_id: str) -> list[ReviewEvent]:
        """Return the audit trail of a referral, oldest first."""
        rows = await self._database.fetch(
            "SELECT at, reviewer, action, details FROM review_events WHERE referral_id = $1 ORDER BY at, id",
            referral_id,
        )
        return [
            ReviewEvent(datetime.fromisoformat(row["at"]), row["reviewer"], row["action"], json.loads(row["details"]))
            for row in rows
        ]


async def _count_verdict(tx: Connection, judged: Sequence[Row], amount: int) -> None:
    """Count the verdict about a draft, or take it back. A referral without a draft says nothing about quality."""
    for row in judged:
        day = datetime.fromisoformat(row["answered_at"]).date()
        if measure := COUNTED.get(row["source"]):
            await add_count(tx, row["task"], measure, row["verdict"], amount, day)


async def record_event(
    connection: Connection,
    reviewer: str,
    action: ReviewAction,
    referral_id: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry to the audit trail, in the transaction of what it reports."""
    await connection.execute(
        "INSERT INTO review_events (id, at, reviewer, action, referral_id, details) VALUES ($1, $2, $3, $4, $5, $6)",
        "e_" + secrets.token_hex(12),
        to_timestamp(now()),
        reviewer,
        action,
        referral_id,
        json.dumps(details or {}),
    )
