"""The review queue: questions that wait for a person, with everything that the person needs to answer them."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from pydantic import BaseModel

from chassis.clock import now, to_timestamp
from chassis.contract import Draft, FallbackReason, Referred
from chassis.store.database import Database, Row

log = structlog.get_logger()

type ReviewVerdict = Literal["pass", "fail"]
"""Whether a draft was right. A referral without a draft has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """One question in the review queue. Times are UTC.

    Args:
        id: The ticket, `r_` and 16 hexadecimal digits.
        task: The name of the task.
        caller: The caller who asked.
        call_id: The id of the call, also in its log line and trace.
        fallback_reason: Why a person has to answer.
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
    """

    id: str
    task: str
    caller: str
    call_id: str
    fallback_reason: FallbackReason
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


class ReviewQueue:
    """The referrals in the database.

    Args:
        database: Where the referrals are stored.
        due_hours: The number of hours within which a person has to answer.
    """

    def __init__(self, database: Database, due_hours: float) -> None:
        self._database = database
        self._due = timedelta(hours=due_hours)

    async def refer(
        self,
        task: str,
        caller: str,
        call_id: str,
        fallback_reason: FallbackReason,
        question: str,
        draft: Draft[BaseModel] | None,
    ) -> Referred:
        """Add a question to the queue: the question as JSON, and the rejected draft if there is one."""
        created_at = now()
        referred = Referred("r_" + secrets.token_hex(8), fallback_reason, created_at + self._due)
        await self._database.execute(
            "INSERT INTO referrals"
            " (id, task, caller, call_id, fallback_reason, question, draft, confidence, created_at, due_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            referred.referral_id,
            task,
            caller,
            call_id,
            fallback_reason.value,
            question,
            draft.value.model_dump_json(by_alias=True) if draft else None,
            draft.confidence if draft else None,
            to_timestamp(created_at),
            to_timestamp(referred.due_at),
        )
        log.info("referral.opened", referral_id=referred.referral_id, fallback_reason=fallback_reason.value)
        return referred

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

    async def open_referrals(self) -> list[Referral]:
        """Return the referrals that wait for a person, the most urgent first."""
        rows = await self._database.fetch("SELECT * FROM referrals WHERE answered_at IS NULL ORDER BY due_at, id")
        return [referral_of(row) for row in rows]

    async def count_open(self) -> tuple[int, int]:
        """Return how many referrals wait for a person, and how many of these are overdue."""
        rows = await self._database.fetch(
            "SELECT COUNT(*) AS waiting, SUM(CASE WHEN due_at < $1 THEN 1 ELSE 0 END) AS overdue"
            " FROM referrals WHERE answered_at IS NULL",
            to_timestamp(now()),
        )
        return rows[0]["waiting"], rows[0]["overdue"] or 0


def referral_of(row: Row) -> Referral:
    """Return the referral in a row of the table."""
    # A later release, whose migration is applied while this process runs, may have added columns.
    fields: dict[str, Any] = {field.name: row[field.name] for field in dataclass_fields(Referral)}
    for name in ("question", "draft", "answer", "tags"):
        fields[name] = json.loads(fields[name]) if fields[name] is not None else None
    for name in ("created_at", "due_at", "answered_at", "leased_until", "fetched_at"):
        fields[name] = datetime.fromisoformat(fields[name]) if fields[name] is not None else None
    fields["fallback_reason"] = FallbackReason(fields["fallback_reason"])
    return Referral(**fields)
