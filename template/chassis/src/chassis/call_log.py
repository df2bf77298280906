"""Writes down how each call ended: one span, exactly one `call.finished` line, and the same facts as metrics."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog
from opentelemetry.trace import Span, StatusCode
from structlog.contextvars import bound_contextvars

from chassis.call import Call
from chassis.contract import Answered, FallbackReason, Referred
from chassis.errors import CallError
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments, current
from chassis.usd import to_usd

log = structlog.get_logger()

SERVER_ERROR = 500
"""From this HTTP status on a refusal counts as an error of ours, as it does for HTTP spans."""
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
"""What the facts of the log line are called on the span."""


@dataclass(slots=True)
class CallScope:
    """The open page of one call; the service writes the outcome on it."""

    outcome: Answered[Any] | Referred | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended.

    Args:
        outcome: `answered`, `referred`, `refused` by a rule of ours, `abandoned` by a caller who hung up, or `failed`
            for any other reason.
        answered_by: As in `Answered`.
        degraded: As in `Answered`.
        fallback_reason: As in `Answered` and `Referred`.
        confidence: As in `Answered`.
        error: The slug of what refused it, or the type of what failed.
    """

    outcome: str
    answered_by: str | None = None
    degraded: bool | None = None
    fallback_reason: str | None = None
    confidence: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CallLog:
    """Where every call is entered.

    Args:
        p95_seconds: A call that takes longer counts as late.
        instruments: What is recorded with; those of the running telemetry if not given.
    """

    p95_seconds: float
    instruments: Instruments = field(default_factory=current)

    @contextmanager
    def scope(self, task: str, call: Call) -> Generator[CallScope]:
        """Keep the page of a call open; until it is closed, every log line carries the call's id.

        Raises:
            RuntimeError: The page is closed without an outcome.
        """
        entry, started = CallScope(), time.perf_counter()
        known = {names.CALL_ID: call.id, names.TASK: task, names.CALLER: call.caller}
        with bound_contextvars(call_id=call.id), self.instruments.span(names.call_span(task), known) as span:
            try:
                yield entry
                ending = _ending_of(entry.outcome)
            except BaseException as error:
                ending = _ending_by(error)
                if ending.outcome == "failed" or (isinstance(error, CallError) and error.status >= SERVER_ERROR):
                    span.set_status(StatusCode.ERROR)
                self._close(task, call, span, ending, time.perf_counter() - started)
                raise
            self._close(task, call, span, ending, time.perf_counter() - started)

    def _close(self, task: str, call: Call, span: Span, ending: CallResult, seconds: float) -> None:
        facts = asdict(ending) | _spent(call)
        span.set_attributes({SPAN_ATTRIBUTES[fact]: value for fact, value in facts.items() if value is not None})
        failed = ending.outcome == "failed"
        write = log.error if failed else log.info
        write(names.CALL_FINISHED, task=task, caller=call.caller, **facts, seconds=round(seconds, 6), exc_info=failed)
        self._count(task, call, ending, seconds)

    def _count(self, task: str, call: Call, ending: CallResult, seconds: float) -> None:
        known = {names.TASK: task, names.OUTCOME: ending.outcome}
        answerer = {names.ANSWERED_BY: ending.answered_by or "", names.DEGRADED: bool(ending.degraded)}
        self.instruments.call_duration.record(seconds, known)
        self.instruments.calls.add(1, known | answerer)
        self.instruments.slow_calls.add(int(seconds > self.p95_seconds), {names.TASK: task})
        if _is_degraded(ending):
            why = {
                names.FALLBACK_REASON: ending.fallback_reason or "",
                names.ANSWERED_BY: ending.answered_by or ending.outcome,
            }
            self.instruments.degraded_calls.add(1, {names.TASK: task} | why)
        if ending.outcome == "referred":
            self.instruments.referrals.add(1, {names.TASK: task, names.FALLBACK_REASON: ending.fallback_reason or ""})
        for attempt in call.attempts:
            model = {names.TASK: task, names.MODEL: attempt.model}
            self.instruments.attempts.add(1, model | {names.ERROR_TYPE: attempt.error or ""})
            self.instruments.cost.add(to_usd(attempt.cost), model)


def _ending_of(outcome: Answered[Any] | Referred | None) -> CallResult:
    match outcome:
        case Answered(
            answered_by=answered_by, degraded=degraded, fallback_reason=fallback_reason, confidence=confidence
        ):
            return CallResult("answered", answered_by, degraded, fallback_reason, confidence)
        case Referred(fallback_reason=fallback_reason):
            return CallResult("referred", fallback_reason=fallback_reason)
        case None:
            raise RuntimeError("the journal's entry was closed without an outcome; set entry.outcome")


def _ending_by(error: BaseException) -> CallResult:
    if isinstance(error, CallError):
        return CallResult("refused", error=error.slug)
    if isinstance(error, asyncio.CancelledError):
        return CallResult("abandoned")
    return CallResult("failed", error=type(error).__name__)


def _is_degraded(ending: CallResult) -> bool:
    """Tell whether the first model should have answered and something kept it from doing so."""
    referred_for_want_of_a_model = (
        ending.outcome == "referred" and ending.fallback_reason != FallbackReason.LOW_CONFIDENCE
    )
    return bool(ending.degraded) or referred_for_want_of_a_model


def _spent(call: Call) -> dict[str, float]:
    attempts = call.attempts
    return {
        "attempts": len(attempts),
        "cached": sum(attempt.cached for attempt in attempts),
        "input_tokens": sum(attempt.input_tokens for attempt in attempts),
        "output_tokens": sum(attempt.output_tokens for attempt in attempts),
        "cost_usd": to_usd(call.cost),
    }
