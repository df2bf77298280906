"""Tells what says something about the service from what only says that a vendor had a bad night."""

from collections.abc import Sequence
from typing import Any

from chassis.errors import BudgetExhausted, ModelsFailed
from chassis.evals.endings import Ending, Refused
from chassis.evals.records import Status
from chassis.types import Attempt, Referred, Setback

OURS = ("TimedOut", "Reply", "Rejected", "ContextWindow", "UnexpectedModelBehavior")
"""Parts of the names of failures that a better prompt, cap or deadline of ours would have prevented."""


def verdict_on(
    ending: Ending[Any] | None, failure: Exception | None, attempts: Sequence[Attempt], *, missing: bool
) -> tuple[Status, str | None]:
    """Return whether a trial counts, and the name of what went wrong.

    Args:
        ending: What came back, if anything.
        failure: What was raised instead.
        attempts: The requests that were sent to models.
        missing: Whether a recorded reply was not there.
    """
    if missing:
        return "skipped", "NotRecorded"
    if _setback(ending) is Setback.BUDGET_EXHAUSTED or isinstance(failure, BudgetExhausted):
        return "skipped", "BudgetExhausted"
    models_failed = _setback(ending) is Setback.MODELS_FAILED or isinstance(failure, ModelsFailed)
    outages = [attempt.error for attempt in attempts if attempt.error and not _is_ours(attempt.error)]
    if models_failed and outages:
        return "infra", outages[0].lstrip("_")
    if failure is not None:
        return "fail_service", type(failure).__name__
    return "ok", None


def _setback(ending: Ending[Any] | None) -> Setback | None:
    match ending:
        case None | Refused():
            return None
        case Referred(setback=setback):
            return setback
        case answered:
            return answered.setback


def _is_ours(error: str) -> bool:
    return any(part in error for part in OURS)
