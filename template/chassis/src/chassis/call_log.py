"""Records how each call ended: exactly one `call.finished` line, one span, and metrics, all with the same facts."""

import asyncio
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any

import structlog
from opentelemetry.trace import Span, StatusCode
from pydantic import BaseModel
from structlog.contextvars import bound_contextvars

from chassis.call import Call
from chassis.contract import Answered, FallbackReason, Referred
from chassis.errors import CallError
from chassis.store.call_history import CallHistory
from chassis.store.quality_history import COST_UNIT, DailyCounts, Measure, bin_of, bin_of_confidence
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments
from chassis.usd import to_usd

SERVER_ERROR = 500
"""A refusal with this HTTP status or a higher one marks the span as failed, as for HTTP server spans."""
SPAN_ATTRIBUTES = {
    "outcome": names.OUTCOME,
    "answered_by": names.ANSWERED_BY,
    "degraded": names.DEGRADED,
    "fallback_reason": names.FALLBACK_REASON,
    "confidence": names.CONFIDENCE,
    "error": names.ERROR_TYPE,
    "attempts": names.ATTEMPTS,
    "cached": names.CACHED,
    "input_tokens": names.INPUT_TOKENS,
    "output_tokens": names.OUTPUT_TOKENS,
    "cost_usd": names.COST_USD,
}
"""The names of the log line's fields on the span."""

log = structlog.get_logger()


@dataclass(slots=True)
class CallScope:
    """One call while it runs; the service sets its outcome before the scope ends.

    Args:
        outcome: How it ended.
        question_length: The characters of the question as JSON.
        answer_length: The characters of the answer as JSON.
    """

    outcome: Answered[Any] | Referred | None = None
    question_length: int | None = None
    answer_length: int | None = None


@dataclass(slots=True)
class CallResult:
    """How a call ended.

    Args:
        outcome: `answered`, `referred`, `refused` with a `CallError`, `abandoned` by a caller who disconnected, or
            `failed` with any other error.
        answered_by: As in `Answered`.
        degraded: As in `Answered`.
        fallback_reason: As in `Answered` and `Referred`.
        confidence: As in `Answered`.
        error: The slug of a `CallError`, or the name of any other error's type.
    """

    outcome: str
    answered_by: str | None = None
    degraded: bool | None = None
    fallback_reason: str | None = None
    confidence: float | None = None
    error: str | None = None

    @property
    def replaced_model(self) -> bool:
        """Return whether something else answered, or a person will, although the first model should have."""
        no_draft = self.outcome == "referred" and self.fallback_reason != FallbackReason.LOW_CONFIDENCE
        return bool(self.degraded) or no_draft


RESULT_FACTS = tuple(field.name for field in fields(CallResult))


@dataclass(frozen=True, slots=True)
class CallLog:
    """Records calls.

    Args:
        p95_seconds: A call that takes longer is counted as slow.
        instruments: What spans and metrics are recorded with.
        daily_counts: Count the calls of each day.
        history: Keeps answers, so that their callers can send feedback. An evaluation has none.
    """

    p95_seconds: float
    instruments: Instruments
    daily_counts: DailyCounts = field(default_factory=DailyCounts)
    history: CallHistory | None = None

    @contextmanager
    def scope(self, task: str, call: Call, question: BaseModel | None = None) -> Generator[CallScope]:
        """Record a call when the context ends. Every log line within the context carries the id of the call.

        Args:
            task: The name of the task.
            call: The call.
            question: What the history keeps together with the answer.

        Raises:
            RuntimeError: The context ends without an outcome.
        """
        scope, started = CallScope(), time.perf_counter()
        attributes = {names.CALL_ID: call.id, names.TASK: task, names.CALLER: call.caller}
        with bound_contextvars(call_id=call.id), self.instruments.span(names.call_span(task), attributes) as span:
            try:
                yield scope
                result = _result_of(scope.outcome)
            # A cancellation too: a caller who disconnects is a call that ended, and may have cost money.
            except BaseException as error:
                result = _result_of_error(error)
                if result.outcome == "failed" or (isinstance(error, CallError) and error.status >= SERVER_ERROR):
                    span.set_status(StatusCode.ERROR)
                self._record(task, call, scope, span, result, time.perf_counter() - started)
                raise
            self._record(task, call, scope, span, result, time.perf_counter() - started)
            if self.history and question is not None and isinstance(scope.outcome, Answered):
                self.history.add(task, call, question, scope.outcome)

    def _record(self, task: str, call: Call, scope: CallScope, span: Span, result: CallResult, seconds: float) -> None:
        facts = {fact: getattr(result, fact) for fact in RESULT_FACTS} | _usage(call)
        span.set_attributes({SPAN_ATTRIBUTES[fact]: value for fact, value in facts.items() if value is not None})
        failed = result.outcome == "failed"
        write = log.error if failed else log.info
        write(names.CALL_FINISHED, task=task, caller=call.caller, **facts, seconds=round(seconds, 6), exc_info=failed)
        self._count(task, result, seconds)
        self._count_attempts(task, call)
        self.daily_counts.add(task, chain(_daily_values(scope, result, seconds), self._versions(call)))
        self.daily_counts.add(task, [("cost", COST_UNIT)], call.cost)

    def _versions(self, call: Call) -> Iterator[tuple[Measure, str]]:
        yield from self.daily_counts.versions.items()
        if answer := next((attempt for attempt in reversed(call.attempts) if attempt.error is None), None):
            yield "model", f"{answer.model}: {answer.served}" if answer.served else answer.model

    def _count(self, task: str, result: CallResult, seconds: float) -> None:
        by_task = {names.TASK: task}
        by_outcome = by_task | {names.OUTCOME: result.outcome}
        by_answer = {names.ANSWERED_BY: result.answered_by or "", names.DEGRADED: bool(result.degraded)}
        by_reason = by_task | {names.FALLBACK_REASON: result.fallback_reason or ""}
        self.instruments.call_duration.record(seconds, by_outcome)
        self.instruments.calls.add(1, by_outcome | by_answer)
        # Also 0 is added, so that the series exists from the first call on and rates can be computed.
        self.instruments.slow_calls.add(int(seconds > self.p95_seconds), by_task)
        if result.replaced_model:
            by_answerer = {names.ANSWERED_BY: result.answered_by or result.outcome}
            self.instruments.degraded_calls.add(1, by_reason | by_answerer)
        if result.outcome == "referred":
            self.instruments.referrals.add(1, by_reason)

    def _count_attempts(self, task: str, call: Call) -> None:
        for attempt in call.attempts:
            by_model = {names.TASK: task, names.MODEL: attempt.model}
            self.instruments.attempts.add(1, by_model | {names.ERROR_TYPE: attempt.error or ""})
            self.instruments.cost.add(to_usd(attempt.cost), by_model)


def _result_of(outcome: Answered[Any] | Referred | None) -> CallResult:
    match outcome:
        case Answered():
            return CallResult(
                "answered", outcome.answered_by, outcome.degraded, outcome.fallback_reason, outcome.confidence
            )
        case Referred():
            return CallResult("referred", fallback_reason=outcome.fallback_reason)
        case None:
            raise RuntimeError("the scope of a call ended without an outcome; set scope.outcome")


def _result_of_error(error: BaseException) -> CallResult:
    if isinstance(error, CallError):
        return CallResult("refused", error=error.slug)
    if isinstance(error, asyncio.CancelledError):
        return CallResult("abandoned")
    return CallResult("failed", error=type(error).__name__)


def _daily_values(scope: CallScope, result: CallResult, seconds: float) -> Iterator[tuple[Measure, str]]:
    """Yield what the daily counts have of a call."""
    yield "outcome", result.outcome
    if result.answered_by is not None:
        yield "answered_by", result.answered_by
    if result.fallback_reason is not None:
        yield "fallback_reason", result.fallback_reason
    if result.outcome in {"answered", "referred"}:
        yield "seconds", bin_of(seconds)
    if scope.question_length is not None:
        yield "question_length", bin_of(scope.question_length)
    if scope.answer_length is not None:
        yield "answer_length", bin_of(scope.answer_length)
    if result.confidence is not None:
        yield "confidence", bin_of_confidence(result.confidence)


def _usage(call: Call) -> dict[str, float]:
    attempts = call.attempts
    return {
        "attempts": len(attempts),
        "cached": sum(attempt.cached for attempt in attempts),
        "input_tokens": sum(attempt.input_tokens for attempt in attempts),
        "output_tokens": sum(attempt.output_tokens for attempt in attempts),
        "cost_usd": to_usd(call.cost),
    }
