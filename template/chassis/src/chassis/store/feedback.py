"""Feedback: what callers say about the answers that they got."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import NotFound
from chassis.store.call_history import AnsweredCall, CallHistory, referral_for_review
from chassis.store.database import Connection, Database, Row
from chassis.store.quality_history import add_count
from chassis.store.review_queue import ReviewQueue, insert_referral
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments, context_of

log = structlog.get_logger()

RECEIVING = """INSERT INTO feedback (call_id, caller, verdict, comment, received_at) VALUES ($1, $2, '', '', $3)
    ON CONFLICT (call_id) DO UPDATE SET caller = $2"""
RECORDING = "UPDATE feedback SET verdict = $2, comment = $3, correction = $4 WHERE call_id = $1"

type FeedbackVerdict = Literal["positive", "negative"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a caller says about one answer.

    Args:
        verdict: Whether the answer was good.
        comment: Why.
        correction: The right answer, as JSON of the task's output type.
    """

    verdict: FeedbackVerdict
    comment: str = ""
    correction: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedFeedback:
    """Feedback that is stored.

    Args:
        call: The call that it is about.
        referral_id: The ticket of the review that it opened, if it opened one.
    """

    call: AnsweredCall
    referral_id: str | None


async def _count(tx: Connection, task: str, before: Row, verdict: FeedbackVerdict) -> None:
    """Count a verdict on the day of the first feedback on the call, and take back the verdict that it replaces."""
    if before["verdict"] == verdict:
        return
    day, changes = datetime.fromisoformat(before["received_at"]).date(), {before["verdict"]: -1, verdict: 1}
    for value in sorted(filter(None, changes)):  # in one order, so that two requests cannot block each other
        await add_count(tx, task, "feedback", value, changes[value], day)


class FeedbackBox:
    """The feedback in the database.

    Args:
        database: Where it is stored.
        call_history: Knows which caller got which answer.
        review_queue: Where people look at answers that were not good.
        instruments: Record the feedback in the trace of its call, and count it.
        refer_negative: Whether negative feedback opens a referral.
    """

    def __init__(
        self,
        database: Database,
        call_history: CallHistory,
        review_queue: ReviewQueue,
        instruments: Instruments,
        *,
        refer_negative: bool,
    ) -> None:
        self._database, self._call_history, self._review_queue = database, call_history, review_queue
        self._instruments = instruments
        self._refer_negative = refer_negative

    async def record(self, call_id: str, caller: str, feedback: Feedback) -> RecordedFeedback:
        """Store feedback. Feedback on the same call replaces it, and never opens a second referral.

        Raises:
            NotFound: This caller got no such answer, or it is not kept any more.
        """
        call = await self._call_history.find(call_id, caller)
        if call is None:
            raise NotFound("There is no answer with this call_id for this caller, or it is not kept any more")
        refer = feedback.verdict == "negative" and self._refer_negative and await self._review_queue.has_room(caller)
        async with self._database.transaction() as tx:
            # From here on the row is locked: of two requests at the same time, the second sees what the first did.
            await tx.execute(RECEIVING, call_id, caller, to_timestamp(now()))
            [row] = await tx.fetch("SELECT verdict, referral_id, received_at FROM feedback WHERE call_id = $1", call_id)
            await tx.execute(RECORDING, call_id, feedback.verdict, feedback.comment, feedback.correction)
            await _count(tx, call.task, row, feedback.verdict)
            referral_id = row["referral_id"] or (await self._refer(tx, call) if refer else None)
        log.info("feedback.received", feedback_on=call_id, verdict=feedback.verdict, referral_id=referral_id)
        self._trace(call, feedback.verdict)
        return RecordedFeedback(call, referral_id)

    def _trace(self, call: AnsweredCall, verdict: FeedbackVerdict) -> None:
        """Add the verdict to the trace of the call, under the conventions' names for the result of an evaluation."""
        attributes = {
            names.CALL_ID: call.id,
            names.EVALUATION_NAME: "feedback",
            names.EVALUATION_LABEL: verdict,
        }
        context = context_of(call.traceparent)
        self._instruments.tracer.start_span("feedback", context, attributes=attributes).end()
        self._instruments.feedback.add(1, {names.TASK: call.task, names.VERDICT: verdict})

    async def _refer(self, tx: Connection, call: AnsweredCall) -> str:
        new = referral_for_review(call, "feedback", self._review_queue.due_at())
        referral_id = await insert_referral(tx, new)
        await tx.execute("UPDATE feedback SET referral_id = $2 WHERE call_id = $1", call.id, referral_id)
        return referral_id

    async def find(self, call_id: str) -> Feedback | None:
        """Return the feedback on a call, or None if there is none."""
        rows = await self._database.fetch(
            "SELECT verdict, comment, correction FROM feedback WHERE call_id = $1", call_id
        )
        return Feedback(**rows[0]) if rows else None


@dataclass(frozen=True, slots=True)
class Correction:
    """The right answer to a question, according to its caller. Both are JSON."""

    call_id: str
    caller: str
    question: str
    answer: str
    received_at: datetime


async def unreviewed_corrections(database: Database, task: str) -> list[Correction]:
    """Return the corrections of a task that opened no referral, the oldest first. Of the others, the review counts."""
    rows = await database.fetch(
        "SELECT call_id, feedback.caller, question, correction AS answer, received_at"
        " FROM feedback JOIN calls ON id = call_id WHERE task = $1 AND correction IS NOT NULL AND referral_id IS NULL"
        " ORDER BY received_at, call_id",
        task,
    )
    return [Correction(**dict[str, Any](row, received_at=datetime.fromisoformat(row["received_at"]))) for row in rows]
