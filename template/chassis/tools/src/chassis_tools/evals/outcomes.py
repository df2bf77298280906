"""What a trial ended with, as graders see it, as files keep it, and whether it counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, JsonValue

from chassis.call import Attempt, Turn
from chassis.contract import Answered, FallbackReason, Outcome, Referred
from chassis.errors import BudgetExhausted, DatabaseUnavailable, ModelsFailed, ModelsOff
from chassis_tools.evals.records import TrialStatus

OUR_FAILURES = ("TimedOut", "Reply", "Rejected", "ContextWindow", "UnexpectedModelBehavior")
"""Parts of the names of failures that a better prompt, output cap or deadline would have prevented."""
NOT_RECORDED = "NotRecorded"
"""The error of a replay that needs a reply which nobody recorded."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The data policy refused the question; for some questions that is the right outcome.

    Args:
        rule: The slug of the error that a caller gets, such as `input-not-allowed`.
    """

    rule: str


type CaseOutcome[A] = Outcome[A] | Refused
"""What a grader gets: an answer, a referral to a person, or a refusal by the data policy."""


def outcome_to_json(outcome: CaseOutcome[Any]) -> dict[str, JsonValue]:
    """Return an outcome as JSON."""
    match outcome:
        case Answered():
            return {
                "answered_by": outcome.answered_by,
                "answer": outcome.value.model_dump(mode="json"),
                "confidence": outcome.confidence,
                "degraded": outcome.degraded,
                "fallback_reason": outcome.fallback_reason and outcome.fallback_reason.value,
            }
        case Referred():
            return {"referred": outcome.fallback_reason.value}
        case Refused():
            return {"refused": outcome.rule}


def outcome_from_json[A: BaseModel](data: dict[str, Any], gives: type[A]) -> CaseOutcome[A]:
    """Return the outcome that `outcome_to_json` wrote; the id and due date of a referral are not kept."""
    if "answer" in data:
        fallback_reason = FallbackReason(data["fallback_reason"]) if data["fallback_reason"] else None
        answer = gives.model_validate(data["answer"])
        return Answered(answer, data["answered_by"], data["confidence"], data["degraded"], fallback_reason)
    if "referred" in data:
        return Referred("", FallbackReason(data["referred"]), datetime.min)  # noqa: DTZ901  never shown to anyone
    return Refused(data["refused"])


def trial_status(
    outcome: CaseOutcome[Any] | None, failure: Exception | None, turns: Iterable[Turn], first_model: str | None
) -> tuple[TrialStatus, str | None]:
    """Return whether a trial says something about the service, and the name of the error if not.

    An outage of a vendor says nothing about the service; a crash of the team's code does.

    Args:
        outcome: What came back, if anything.
        failure: What was raised instead.
        turns: The model requests of the call, each with its attempts.
        first_model: The first model of the chain, if there is one.
    """
    turns = tuple(turns)
    attempts = [attempt for turn in turns for attempt in turn.attempts]
    reason = _fallback_reason(outcome)
    if skipped := _why_skipped(reason, failure, attempts):
        return "skipped", skipped
    if reason is FallbackReason.DATABASE_DOWN or isinstance(failure, DatabaseUnavailable):
        return "outage", "DatabaseUnavailable"
    if reason is FallbackReason.MODELS_FAILED or isinstance(failure, ModelsFailed):
        errors = [attempt.error for attempt in attempts if attempt.error and not _is_ours(attempt.error)]
        if errors:
            return "outage", errors[0].lstrip("_")
        # The first model's circuit breaker was open, after a rejected key for instance: the answers of the models
        # behind it say nothing about it.
        if turns and first_model not in {attempt.model for attempt in attempts}:
            return "outage", "NotAsked"
    return ("ok", None) if failure is None else ("failed", type(failure).__name__)


def is_not_recorded(attempts: Iterable[Attempt]) -> bool:
    """Return whether a model request found no recorded reply."""
    return any(attempt.error == NOT_RECORDED for attempt in attempts)


def _why_skipped(reason: FallbackReason | None, failure: Exception | None, attempts: Iterable[Attempt]) -> str | None:
    """Return why no model was asked although one should have been, if so."""
    if is_not_recorded(attempts):
        return NOT_RECORDED
    if reason is FallbackReason.BUDGET_EXHAUSTED or isinstance(failure, BudgetExhausted):
        return "BudgetExhausted"
    if reason is FallbackReason.MODELS_OFF or isinstance(failure, ModelsOff):
        return "ModelsOff"
    return None


def _fallback_reason(outcome: CaseOutcome[Any] | None) -> FallbackReason | None:
    match outcome:
        case None | Refused():
            return None
        case Referred() | Answered():
            return outcome.fallback_reason


def _is_ours(error: str) -> bool:
    return any(part in error for part in OUR_FAILURES)
