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
from chassis.contract import Answered, Referred, Setback
from chassis.errors import CallError
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments, current
from chassis.usd import in_usd

log = structlog.get_logger()

SERVER_FAULT = 500
"""From this HTTP status on a refusal counts as an error of ours, as it does for HTTP spans."""
SPAN_NAMES = {
    "outcome": names.OUTCOME,
    "answered_by": names.ANSWERED_BY,
    "degraded": names.DEGRADED,
    "setback": names.SETBACK,
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
class Entry:
    """The open page of one call; the service writes the outcome on it."""

    outcome: Answered[Any] | Referred | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended.

    Args:
        outcome: `answered`, `referred`, `refused` by a rule of ours, `abandoned` by a caller who hung up, or `failed`
            for any other reason.
        answered_by: As in `Answered`.
        degraded: As in `Answered`.
        setback: As in `Answered` and `Referred`.
        confidence: As in `Answered`.
        error: The slug of what refused it, or the type of what failed.
    """

    outcome: str
    answered_by: str | None = None
    degraded: bool | None = None
    setback: str | None = None
    confidence: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """Where every call is entered.

    Args:
        p95_seconds: A call that takes longer counts as late.
        instruments: What is recorded with; those of the running telemetry if not given.
    """

    p95_seconds: float
    instruments: Instruments = field(default_factory=current)

    @contextmanager
    def entry(self, task: str, call: Call) -> Generator[Entry]:
        """Keep the page of a call open; until it is closed, every log line carries the call's id.

        Raises:
            RuntimeError: The page is closed without an outcome.
        """
        entry, started = Entry(), time.perf_counter()
        known = {names.CALL_ID: call.id, names.TASK: task, names.CALLER: call.caller}
        with bound_contextvars(call_id=call.id), self.instruments.span(names.call_span(task), known) as span:
            try:
                yield entry
                ending = _ending_of(entry.outcome)
            except BaseException as error:
                ending = _ending_by(error)
                if ending.outcome == "failed" or (isinstance(error, CallError) and error.status >= SERVER_FAULT):
                    span.set_status(StatusCode.ERROR)
                self._close(task, call, span, ending, time.perf_counter() - started)
                raise
            self._close(task, call, span, ending, time.perf_counter() - started)

    def _close(self, task: str, call: Call, span: Span, ending: Ending, seconds: float) -> None:
        facts = asdict(ending) | _spent(call)
        span.set_attributes({SPAN_NAMES[fact]: value for fact, value in facts.items() if value is not None})
        failed = ending.outcome == "failed"
        write = log.error if failed else log.info
        write(names.CALL_FINISHED, task=task, caller=call.caller, **facts, seconds=round(seconds, 6), exc_info=failed)
        self._count(task, call, ending, seconds)

    def _count(self, task: str, call: Call, ending: Ending, seconds: float) -> None:
        known = {names.TASK: task, names.OUTCOME: ending.outcome}
        answerer = {names.ANSWERED_BY: ending.answered_by or "", names.DEGRADED: bool(ending.degraded)}
        self.instruments.call_duration.record(seconds, known)
        self.instruments.calls.add(1, known | answerer)
        self.instruments.late.add(int(seconds > self.p95_seconds), {names.TASK: task})
        if _is_degraded(ending):
            why = {names.SETBACK: ending.setback or "", names.ANSWERED_BY: ending.answered_by or ending.outcome}
            self.instruments.degraded.add(1, {names.TASK: task} | why)
        if ending.outcome == "referred":
            self.instruments.referrals.add(1, {names.TASK: task, names.SETBACK: ending.setback or ""})
        for attempt in call.attempts:
            model = {names.TASK: task, names.MODEL: attempt.model}
            self.instruments.attempts.add(1, model | {names.ERROR_TYPE: attempt.error or ""})
            self.instruments.cost.add(in_usd(attempt.cost), model)


def _ending_of(outcome: Answered[Any] | Referred | None) -> Ending:
    match outcome:
        case Answered(answered_by=answered_by, degraded=degraded, setback=setback, confidence=confidence):
            return Ending("answered", answered_by, degraded, setback, confidence)
        case Referred(setback=setback):
            return Ending("referred", setback=setback)
        case None:
            raise RuntimeError("the journal's entry was closed without an outcome; set entry.outcome")


def _ending_by(error: BaseException) -> Ending:
    if isinstance(error, CallError):
        return Ending("refused", error=error.slug)
    if isinstance(error, asyncio.CancelledError):
        return Ending("abandoned")
    return Ending("failed", error=type(error).__name__)


def _is_degraded(ending: Ending) -> bool:
    """Tell whether the first model should have answered and something kept it from doing so."""
    referred_for_want_of_a_model = ending.outcome == "referred" and ending.setback != Setback.LOW_CONFIDENCE
    return bool(ending.degraded) or referred_for_want_of_a_model


def _spent(call: Call) -> dict[str, float]:
    attempts = call.attempts
    return {
        "attempts": len(attempts),
        "cached": sum(attempt.cached for attempt in attempts),
        "input_tokens": sum(attempt.input_tokens for attempt in attempts),
        "output_tokens": sum(attempt.output_tokens for attempt in attempts),
        "cost_usd": in_usd(call.cost),
    }
