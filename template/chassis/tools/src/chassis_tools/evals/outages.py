"""Tells what says something about the service from what only says that a vendor had a bad night."""

from collections.abc import Sequence
from typing import Any

from chassis.call import Turn
from chassis.contract import FallbackReason, Referred
from chassis.errors import BudgetExhausted, DatabaseUnavailable, ModelsFailed, ModelsOff
from chassis_tools.evals.endings import Ending, Refused
from chassis_tools.evals.records import Status

OURS = ("TimedOut", "Reply", "Rejected", "ContextWindow", "UnexpectedModelBehavior")
"""Parts of the names of failures that a better prompt, cap or deadline of ours would have prevented."""
RESTED = "NotAsked"
"""The first model's breaker was open, after a dead key for instance: what others answered says nothing about it."""


def verdict_on(
    ending: Ending[Any] | None, failure: Exception | None, turns: Sequence[Turn], first: str | None, *, missing: bool
) -> tuple[Status, str | None]:
    """Return whether a trial counts, and the name of what went wrong.

    Args:
        ending: What came back, if anything.
        failure: What was raised instead.
        turns: The requests that the task made, each with what was sent to models for it.
        first: The first model of the chain, if there is one.
        missing: Whether a recorded reply was not there.
    """
    if (spared := _not_asked(ending, failure, missing=missing)) is not None:
        return "skipped", spared
    fallback_reason = _setback(ending)
    if fallback_reason is FallbackReason.DATABASE_DOWN or isinstance(failure, DatabaseUnavailable):
        return "infra", "DatabaseUnavailable"
    if fallback_reason is FallbackReason.MODELS_FAILED or isinstance(failure, ModelsFailed):
        attempts = [attempt for turn in turns for attempt in turn.attempts]
        outages = [attempt.error for attempt in attempts if attempt.error and not _is_ours(attempt.error)]
        if outages:
            return "infra", outages[0].lstrip("_")
        if turns and first not in {attempt.model for attempt in attempts}:
            return "infra", RESTED
    return ("ok", None) if failure is None else ("fail_service", type(failure).__name__)


def _not_asked(ending: Ending[Any] | None, failure: Exception | None, *, missing: bool) -> str | None:
    """Return why no model was asked though one was meant to be, if so."""
    fallback_reason = _setback(ending)
    if missing:
        return "NotRecorded"
    if fallback_reason is FallbackReason.BUDGET_EXHAUSTED or isinstance(failure, BudgetExhausted):
        return "BudgetExhausted"
    if fallback_reason is FallbackReason.MODELS_OFF or isinstance(failure, ModelsOff):
        return "ModelsOff"
    return None


def _setback(ending: Ending[Any] | None) -> FallbackReason | None:
    match ending:
        case None | Refused():
            return None
        case Referred(fallback_reason=fallback_reason):
            return fallback_reason
        case answered:
            return answered.fallback_reason


def _is_ours(error: str) -> bool:
    return any(part in error for part in OURS)
