"""How one case ended, for graders and for files."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, JsonValue

from chassis.contract import Answered, FallbackReason, Outcome, Referred


@dataclass(frozen=True, slots=True)
class Refused:
    """The policy did not let the question in; for some questions that is the right ending.

    Args:
        rule: The slug of the error that a caller gets, such as `input-not-allowed`.
    """

    rule: str


type Ending[A] = Outcome[A] | Refused
"""What a grader is given: an answer, a referral to a person, or a refusal by the policy."""


def dump(ending: Ending[Any]) -> dict[str, JsonValue]:
    """Return an ending as JSON."""
    match ending:
        case Answered():
            return {
                "answered_by": ending.answered_by,
                "answer": ending.value.model_dump(mode="json"),
                "confidence": ending.confidence,
                "degraded": ending.degraded,
                "fallback_reason": ending.fallback_reason,
            }
        case Referred():
            return {"referred": ending.fallback_reason}
        case Refused():
            return {"refused": ending.rule}


def load[A: BaseModel](data: dict[str, Any], gives: type[A]) -> Ending[A]:
    """Return the ending that `dump` wrote; a referral's ticket and date are not kept."""
    if "answer" in data:
        fallback_reason = FallbackReason(data["fallback_reason"]) if data["fallback_reason"] else None
        answer = gives.model_validate(data["answer"])
        return Answered(answer, data["answered_by"], data["confidence"], data["degraded"], fallback_reason)
    if "referred" in data:
        return Referred("", FallbackReason(data["referred"]), datetime.min)  # noqa: DTZ901  nobody waits for this one
    return Refused(data["refused"])
