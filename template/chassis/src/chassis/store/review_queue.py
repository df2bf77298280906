"""The review queue: questions that wait for a person, with everything that the person needs to answer them."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import structlog
from pydantic import BaseModel

from chassis.clock import now, to_timestamp
from chassis.contract import Draft, FallbackReason, Referred
from chassis.errors import Overloaded
from chassis.store.database import Connection, Database, Row

log = structlog.get_logger()

MAX_OPEN, MAX_OPEN_PER_CALLER = 10_000, 1_000
"""Referrals that wait for a person. People cannot answer more in time, and one caller must not take all places."""
MAX_ANSWERED = 100_000
"""Referrals that are answered. When there are more, the oldest are deleted."""
REFERRALS_PER_CHECK = 100
"""How often answered referrals are counted, which takes longer than to add one."""
UNREADABLE = "unreadable"
"""The key under which a person sees a value of a damaged row."""
CALLER_WAITS = "source IN ('fallback', 'feedback')"
"""Whether a caller waits for the answer of a referral. The others only measure quality."""
REVIEW_DUE = timedelta(days=7)
"""The time within which a person should review what no caller waits for."""
MAX_OPEN_REVIEWS = 200
"""The number of sampled answers, and of second reviews, that may wait; when people fall behind, more would not help."""
COUNTS = """SELECT COUNT(*) AS waiting, SUM(CASE WHEN caller = $1 THEN 1 ELSE 0 END) AS of_caller
    FROM referrals WHERE answered_at IS NULL"""
DELETE_OLD_ANSWERS = """DELETE FROM referrals WHERE answered_at <
    (SELECT answered_at FROM referrals WHERE answered_at IS NOT NULL ORDER BY answered_at DESC LIMIT 1 OFFSET $1)"""

type ReviewVerdict = Literal["pass", "fail"]
"""Whether a draft was right. A referral without a draft has failed."""
type ReferralSource = Literal["fallback", "feedback", "sample", "second"]
"""Why a question is in the queue: the service could not answer it, its caller was not content with the answer, the
answer is in the random sample, or another reviewer has reviewed it and this is the second, blind review."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReferral:
    """What is known of a referral when it is added to the queue.

    Args:
        source: Why it is added.
        task: The name of the task.
        caller: The caller who asked.
        call_id: The id of the call.
        question: The question as JSON of the task's input type.
        draft: The draft or the answer to review, as JSON of the task's output type.
        confidence: The confidence of the draft, from 0 to 1.
        due_at: When the review is due, UTC.
        fallback_reason: Why a person has to answer, if the service could not.
    """

    source: ReferralSource
    task: str
    caller: str
    call_id: str
    question: str
    draft: str | None
    confidence: float | None
    due_at: datetime
    fallback_reason: FallbackReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """One question in the review queue. Times are UTC.

    Args:
        id: The ticket, `r_` and 16 hexadecimal digits.
        task: The name of the task.
        caller: The caller who asked.
        call_id: The id of the call, also in its log line and trace.
        source: Why the question is in the queue.
        fallback_reason: Why a person has to answer, or None if the service had an answer; a text if another release
            knew a reason that this one does not.
        question: The question as JSON of the task's input type.
        draft: The rejected draft as JSON of the task's output type, if there was one.
        confidence: The confidence of the draft, from 0 to 1.
        created_at: When the question was added to the queue.
        due_at: When the answer is due.
        answer: The person's answer as JSON of the task's output type, or None while the referral is open.
        answered_by: The person who answered.
        answered_at: When the person answered.
        verdict: What the person says about the draft, or None while the referral is open.
        tags: What was wrong with the draft.
        note: Anything else that the person wrote.
        leased_by: The reviewer who has leased the referral.
        leased_until: When the lease ends.
        fetched_at: When the caller first fetched the answer. From then on it cannot be undone.
        callback_url: Where the caller wants the answer to be sent.
    """

    id: str
    task: str
    caller: str
    call_id: str
    source: ReferralSource
    fallback_reason: FallbackReason | str | None
    question: Mapping[str, Any]
    draft: Mapping[str, Any] | None
    confidence: float | None
    created_at: datetime
    due_at: datetime
    answer: Mapping[str, Any] | None
    answered_by: str | None
    answered_at: datetime | None
    verdict: ReviewVerdict | None
    tags: Sequence[str]
    note: str
    leased_by: str | None
    leased_until: datetime | None
    fetched_at: datetime | None
    callback_url: str | None

    @property
    def caller_waits(self) -> bool:
        """Return whether a caller gets what the reviewer writes."""
        return self.source in {"fallback", "feedback"}


class ReviewQueue:
    """The referrals in the database.

    Args:
        database: Where the referrals are stored.
        due_hours: The number of hours within which a person has to answer.
        max_open: The number of referrals that may wait.
        max_open_per_caller: The number of them that may be of one caller.
        max_answered: The number of answered referrals to keep.
    """

    def __init__(
        self,
        database: Database,
        due_hours: float,
        *,
        max_open: int = MAX_OPEN,
        max_open_per_caller: int = MAX_OPEN_PER_CALLER,
        max_answered: int = MAX_ANSWERED,
    ) -> None:
        self._database = database
        self._due = timedelta(hours=due_hours)
        self._max_open, self._max_open_per_caller = max_open, max_open_per_caller
        self._max_answered = max_answered
        self._referrals = 0

    async def refer(
        self,
        task: str,
        caller: str,
        call_id: str,
        fallback_reason: FallbackReason,
        question: str,
        draft: Draft[BaseModel] | None,
    ) -> Referred:
        """Add a question to the queue: the question as JSON, and the rejected draft if there is one.

        Raises:
            Overloaded: Too many referrals wait for a person.
        """
        if not await self.has_room(caller):
            raise Overloaded("Too many questions already wait for a person; try again later", retry_after=3600)
        new = NewReferral(
            source="fallback",
            task=task,
            caller=caller,
            call_id=call_id,
            question=question,
            draft=draft.value.model_dump_json(by_alias=True) if draft else None,
            confidence=draft.confidence if draft else None,
            due_at=self.due_at(),
            fallback_reason=fallback_reason,
        )
        return Referred(await insert_referral(self._database, new), fallback_reason, new.due_at)

    def due_at(self) -> datetime:
        """Return when a referral that is added now is due, UTC."""
        return now() + self._due

    async def has_room(self, caller: str) -> bool:
        """Return whether another referral of this caller may be added, and now and then delete old answers."""
        [counts] = await self._database.fetch(COUNTS, caller)
        if counts["waiting"] >= self._max_open or (counts["of_caller"] or 0) >= self._max_open_per_caller:
            log.warning("review_queue.full", waiting=counts["waiting"])
            return False
        self._referrals += 1
        if self._referrals % REFERRALS_PER_CHECK == 0:
            await self._database.execute(DELETE_OLD_ANSWERS, self._max_answered - 1)
        return True

    async def find(self, referral_id: str) -> Referral | None:
        """Return the referral with this id, or None if there is none."""
        rows = await self._database.fetch("SELECT * FROM referrals WHERE id = $1", referral_id)
        return referral_of(rows[0]) if rows else None

    async def find_for_caller(self, referral_id: str, caller: str) -> Referral | None:
        """Return a referral of this caller, or None if there is none. An answer in it cannot be undone any more."""
        while True:
            referral = await self.find(referral_id)
            if referral is None or referral.caller != caller:
                return None
            if referral.answered_at is None or referral.fetched_at is not None:
                return referral
            # Only if the answer is still the one that was read: its reviewer may have undone it since.
            if await self._database.execute(
                "UPDATE referrals SET fetched_at = $3 WHERE id = $1 AND answered_at = $2",
                referral_id,
                to_timestamp(referral.answered_at),
                to_timestamp(now()),
            ):
                return referral

    async def set_callback(self, referral_id: str, caller: str, url: str) -> bool:
        """Set where the answer to a referral of this caller is sent, and return whether there is such a referral."""
        statement = "UPDATE referrals SET callback_url = $3 WHERE id = $1 AND caller = $2"
        return await self._database.execute(statement, referral_id, caller, url) > 0

    async def open_referrals(self) -> list[Referral]:
        """Return the referrals that wait for a person, the most urgent first."""
        rows = await self._database.fetch("SELECT * FROM referrals WHERE answered_at IS NULL ORDER BY due_at, id")
        return [referral_of(row) for row in rows]

    async def answered_referrals(self, task: str) -> list[Referral]:
        """Return the referrals of a task that people have answered, the oldest answer first."""
        rows = await self._database.fetch(
            "SELECT * FROM referrals WHERE answered_at IS NOT NULL AND task = $1 ORDER BY answered_at, id", task
        )
        return [referral_of(row) for row in rows]

    async def count_open(self) -> tuple[int, int]:
        """Return how many referrals wait for a person, and for how many of these a caller has waited too long."""
        rows = await self._database.fetch(
            f"SELECT COUNT(*) AS waiting, SUM(CASE WHEN due_at < $1 AND {CALLER_WAITS} THEN 1 ELSE 0 END) AS overdue"  # noqa: S608
            " FROM referrals WHERE answered_at IS NULL",
            to_timestamp(now()),
        )
        return rows[0]["waiting"], rows[0]["overdue"] or 0


async def insert_referral(connection: Connection, new: NewReferral) -> str:
    """Add a referral to the queue, and return its id."""
    referral_id = "r_" + secrets.token_hex(8)
    reason = new.fallback_reason and new.fallback_reason.value
    await connection.execute(
        "INSERT INTO referrals"
        " (id, source, task, caller, call_id, fallback_reason, question, draft, confidence, created_at, due_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        referral_id,
        new.source,
        new.task,
        new.caller,
        new.call_id,
        reason,
        new.question,
        new.draft,
        new.confidence,
        to_timestamp(now()),
        to_timestamp(new.due_at),
    )
    log.info("referral.opened", referral_id=referral_id, source=new.source, fallback_reason=reason)
    return referral_id


def referral_of(row: Row) -> Referral:
    """Return the referral in a row of the table."""
    # A later release, whose migration is applied while this process runs, may have added columns.
    fields: dict[str, Any] = {field.name: row[field.name] for field in dataclass_fields(Referral)}
    for name in ("question", "draft", "answer"):
        fields[name] = _json_object(fields[name]) if fields[name] is not None else None
    fields["tags"] = _json_array(fields["tags"])
    for name in ("created_at", "due_at", "answered_at", "leased_until", "fetched_at"):
        fields[name] = datetime.fromisoformat(fields[name]) if fields[name] is not None else None
    return Referral(**fields)


def _json_object(text: str) -> dict[str, Any]:
    """Return a JSON object; of a damaged row, its text in an object, so that a person can still answer."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {UNREADABLE: text}


def _json_array(text: str | None) -> list[str]:
    try:
        value: Any = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return [str(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []
