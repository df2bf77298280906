"""How one case ended, for graders and for files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, JsonValue

from chassis.call import Turn
from chassis.contract import Answered, FallbackReason, Outcome, Referred
from chassis.errors import BudgetExhausted, DatabaseUnavailable, ModelsFailed, ModelsOff
from chassis_tools.evals.records import TrialStatus


@dataclass(frozen=True, slots=True)
class Refused:
    """The policy did not let the question in; for some questions that is the right outcome.

    Args:
        rule: The slug of the error that a caller gets, such as `input-not-allowed`.
    """

    rule: str


type CaseOutcome[A] = Outcome[A] | Refused
"""What a grader is given: an answer, a referral to a person, or a refusal by the policy."""


def outcome_to_json(outcome: CaseOutcome[Any]) -> dict[str, JsonValue]:
    """Return an outcome as JSON."""
    match outcome:
        case Answered():
            return {
                "answered_by": outcome.answered_by,
                "answer": outcome.value.model_dump(mode="json"),
                "confidence": outcome.confidence,
                "degraded": outcome.degraded,
                "fallback_reason": outcome.fallback_reason,
            }
        case Referred():
            return {"referred": outcome.fallback_reason}
        case Refused():
            return {"refused": outcome.rule}


def outcome_from_json[A: BaseModel](data: dict[str, Any], gives: type[A]) -> CaseOutcome[A]:
    """Return the outcome that `dump` wrote; a referral's ticket and date are not kept."""
    if "answer" in data:
        fallback_reason = FallbackReason(data["fallback_reason"]) if data["fallback_reason"] else None
        answer = gives.model_validate(data["answer"])
        return Answered(answer, data["answered_by"], data["confidence"], data["degraded"], fallback_reason)
    if "referred" in data:
        return Referred("", FallbackReason(data["referred"]), datetime.min)  # noqa: DTZ901  nobody waits for this one
    return Refused(data["refused"])


OURS = ("TimedOut", "Reply", "Rejected", "ContextWindow", "UnexpectedModelBehavior")
"""Parts of the names of failures that a better prompt, cap or deadline of ours would have prevented."""
RESTED = "NotAsked"
"""The first model's breaker was open, after a dead key for instance: what others answered says nothing about it."""


def trial_status(
    outcome: CaseOutcome[Any] | None,
    failure: Exception | None,
    turns: Sequence[Turn],
    first: str | None,
    *,
    missing: bool,
) -> tuple[TrialStatus, str | None]:
    """Return whether a trial counts, and the name of what went wrong.

    Args:
        outcome: What came back, if anything.
        failure: What was raised instead.
        turns: The requests that the task made, each with what was sent to models for it.
        first: The first model of the chain, if there is one.
        missing: Whether a recorded reply was not there.
    """
    if (spared := _not_asked(outcome, failure, missing=missing)) is not None:
        return "skipped", spared
    fallback_reason = _fallback_reason(outcome)
    if fallback_reason is FallbackReason.DATABASE_DOWN or isinstance(failure, DatabaseUnavailable):
        return "outage", "DatabaseUnavailable"
    if fallback_reason is FallbackReason.MODELS_FAILED or isinstance(failure, ModelsFailed):
        attempts = [attempt for turn in turns for attempt in turn.attempts]
        outages = [attempt.error for attempt in attempts if attempt.error and not _is_ours(attempt.error)]
        if outages:
            return "outage", outages[0].lstrip("_")
        if turns and first not in {attempt.model for attempt in attempts}:
            return "outage", RESTED
    return ("ok", None) if failure is None else ("failed", type(failure).__name__)


def _not_asked(outcome: CaseOutcome[Any] | None, failure: Exception | None, *, missing: bool) -> str | None:
    """Return why no model was asked though one was meant to be, if so."""
    fallback_reason = _fallback_reason(outcome)
    if missing:
        return "NotRecorded"
    if fallback_reason is FallbackReason.BUDGET_EXHAUSTED or isinstance(failure, BudgetExhausted):
        return "BudgetExhausted"
    if fallback_reason is FallbackReason.MODELS_OFF or isinstance(failure, ModelsOff):
        return "ModelsOff"
    return None


def _fallback_reason(outcome: CaseOutcome[Any] | None) -> FallbackReason | None:
    match outcome:
        case None | Refused():
            return None
        case Referred(fallback_reason=fallback_reason):
            return fallback_reason
        case answered:
            return answered.fallback_reason


def _is_ours(error: str) -> bool:
    return any(part in error for part in OURS)
