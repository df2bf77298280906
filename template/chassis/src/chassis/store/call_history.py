"""The answers of the last days, so that their callers can send feedback, and the sample of them that people review.

A call only adds to memory. The service writes that to the database in the background, so a slow database delays no
answer. A process that is killed loses the calls of the last second.
"""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime

import structlog
from pydantic import BaseModel

from chassis.call import Call
from chassis.clock import now, to_timestamp
from chassis.contract import Answered
from chassis.errors import DatabaseUnavailable
from chassis.store.database import Connection, Database, Value
from chassis.store.review_queue import MAX_OPEN_REVIEWS, REVIEW_DUE, NewReferral, ReferralSource, insert_referral
from chassis.telemetry.instruments import outgoing_headers

log = structlog.get_logger()

FLUSH_SECONDS = 1.0
"""The interval at which calls are written to the database."""
MAX_BUFFERED = 1_000
"""Calls in memory. While the database is unavailable or too slow, more are not kept."""
MAX_CALLS = 100_000
"""Calls in the database. When there are more, the oldest are deleted."""
CALLS_PER_CHECK = 1_000
"""How often they are counted, which takes longer than to add one."""
MAX_TEXT_LENGTH = 100_000
"""Characters of a question or an answer, as JSON. A longer one is not kept."""
BATCH = 100
"""Calls written in one transaction. With SQLite, other calls wait for its end: about a millisecond."""
CALLS_PER_STATEMENT = 10
"""Calls in one INSERT, because a statement to PostgreSQL costs a round trip. SQLite binds up to 99 parameters."""
DELETE_EXCESS_CALLS = """DELETE FROM calls WHERE answered_at <
    (SELECT answered_at FROM calls ORDER BY answered_at DESC LIMIT 1 OFFSET $1)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCall:
    """An answer that a caller got.

    Args:
        id: The id of the call.
        task: The name of the task.
        caller: Who asked.
        traceparent: Where the trace of the call can be continued, as in the W3C header; None if it had none.
        answered_by: As in `Answered`.
        confidence: As in `Answered`.
        question: The question as JSON of the task's input type.
        answer: The answer as JSON of the task's output type.
        answered_at: When, as a timestamp in UTC.
    """

    id: str
    task: str
    caller: str
    traceparent: str | None
    answered_by: str
    confidence: float
    question: str
    answer: str
    answered_at: str


COLUMNS = tuple(field.name for field in dataclass_fields(AnsweredCall))


@dataclass(frozen=True, slots=True)
class _Pending:
    """An answered call that is not yet in the database, still as objects: making JSON of it can wait."""

    task: str
    call: Call
    traceparent: str | None
    question: BaseModel
    outcome: Answered[BaseModel]
    answered_at: datetime
    sampled: bool

    def to_call(self) -> AnsweredCall | None:
        """Return what is stored, or None if that is too long or no JSON can be made of it."""
        try:
            question = self.question.model_dump_json(by_alias=True)
            answer = self.outcome.value.model_dump_json(by_alias=True)
        except Exception as error:  # from the team's own serializers; it must not keep others from being stored
            log.exception("call_history.unserializable", call_id=self.call.id, error=type(error).__name__)
            return None
        if max(len(question), len(answer)) > MAX_TEXT_LENGTH:
            return None
        return AnsweredCall(
            id=self.call.id,
            task=self.task,
            caller=self.call.caller,
            traceparent=self.traceparent,
            answered_by=self.outcome.answered_by,
            confidence=self.outcome.confidence,
            question=question,
            answer=answer,
            answered_at=to_timestamp(self.answered_at),
        )


class CallHistory:
    """The calls in memory and in the database.

    Args:
        database: Where they are stored.
        keep_answers: Whether questions and answers are kept for feedback.
        sample_share: The share of answers that a person reviews.
        max_calls: The number of answers to keep.
    """

    def __init__(
        self, database: Database, *, keep_answers: bool, sample_share: float = 0, max_calls: int = MAX_CALLS
    ) -> None:
        self._database = database
        self._keep_answers, self._sample_share, self._max_calls = keep_answers, sample_share, max_calls
        self._pending: deque[_Pending] = deque()
        self._dropped = self._written = 0
        self._flushing = asyncio.Lock()

    def add(self, task: str, call: Call, question: BaseModel, outcome: Answered[BaseModel]) -> None:
        """Remember an answer, in memory for now."""
        sampled = random.random() < self._sample_share  # noqa: S311 - not a secret
        if not (self._keep_answers or sampled):
            return
        if len(self._pending) >= MAX_BUFFERED:
            self._dropped += 1
            return
        traceparent = outgoing_headers().get("traceparent")
        self._pending.append(_Pending(task, call, traceparent, question, outcome, now(), sampled))

    async def flush(self) -> None:
        """Write what is in memory to the database.

        Raises:
            DatabaseUnavailable: What could not be written stays in memory.
        """
        async with self._flushing:
            if self._dropped:
                log.warning("call_history.dropped", calls=self._dropped)
                self._dropped = 0
            while self._pending:
                await self._write([self._pending[index] for index in range(min(BATCH, len(self._pending)))])

    async def close(self) -> None:
        """Write what is in memory, unless the database is unavailable."""
        with suppress(DatabaseUnavailable):
            await self.flush()

    async def _write(self, batch: Sequence[_Pending]) -> None:
        prepared = [(pending.to_call(), pending.sampled) for pending in batch]
        calls = [call for call, _ in prepared if call is not None and self._keep_answers]
        sample = [call for call, sampled in prepared if call is not None and sampled]
        async with self._database.transaction() as tx:
            await _refer_sample(tx, sample)
            for start in range(0, len(calls), CALLS_PER_STATEMENT):
                await _insert(tx, calls[start : start + CALLS_PER_STATEMENT])
        for _ in batch:
            self._pending.popleft()
        before, self._written = self._written, self._written + len(calls)
        if before // CALLS_PER_CHECK != self._written // CALLS_PER_CHECK:
            await self._database.execute(DELETE_EXCESS_CALLS, self._max_calls - 1)

    async def find(self, call_id: str, caller: str) -> AnsweredCall | None:
        """Return an answer that this caller got, or None if there is none or it is not kept any more."""
        await self.flush()  # it may have been given a moment ago
        columns = ", ".join(COLUMNS)
        rows = await self._database.fetch(
            f"SELECT {columns} FROM calls WHERE id = $1 AND caller = $2",  # noqa: S608 - ours
            call_id,
            caller,
        )
        return AnsweredCall(**rows[0]) if rows else None


async def _refer_sample(tx: Connection, sample: Sequence[AnsweredCall]) -> None:
    """Add answers to the review queue as far as there is room for them."""
    if sample:
        [row] = await tx.fetch(
            "SELECT COUNT(*) AS waiting FROM referrals WHERE answered_at IS NULL AND source = 'sample'"
        )
        for call in sample[: max(0, MAX_OPEN_REVIEWS - row["waiting"])]:
            await insert_referral(tx, referral_for_review(call, "sample", now() + REVIEW_DUE))


def referral_for_review(call: AnsweredCall, source: ReferralSource, due_at: datetime) -> NewReferral:
    """Return the referral with which a person reviews an answer."""
    return NewReferral(
        source=source,
        task=call.task,
        caller=call.caller,
        call_id=call.id,
        question=call.question,
        draft=call.answer,
        confidence=call.confidence,
        due_at=due_at,
    )


async def _insert(tx: Connection, calls: Sequence[AnsweredCall]) -> None:
    values: list[Value] = [value for call in calls for value in astuple(call)]
    width = len(COLUMNS)
    rows = (", ".join(f"${row * width + column + 1}" for column in range(width)) for row in range(len(calls)))
    await tx.execute(
        f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({'), ('.join(rows)}) ON CONFLICT (id) DO NOTHING",  # noqa: S608
        *values,
    )
