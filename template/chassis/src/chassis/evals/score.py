"""Grades the results with the team's own grader; what follows knows no question and no answer, only facts."""

import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from chassis.errors import ConfigError
from chassis.evals.cases import Case
from chassis.evals.run import Result
from chassis.types import Answered, NanoUsd, Outcome

FILE = "evals/graders.py"
REMEDY = "Write `def grade(case, outcome) -> bool` in it"

type Grade[Q: BaseModel, A: BaseModel] = Callable[[Case[Q], Outcome[A]], object]
"""What the team wrote; that it returns a bool is checked, not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How one case went.

    Args:
        case: Its id.
        tags: Its tags.
        right: What the grader says; an error is never right.
        outcome: How the call ended.
        answered_by: Who answered, if anybody did.
        error: The name of the error, if the call failed.
        cost: What the call cost.
        seconds: How long it took.
        call_id: Its log line and spans carry the same.
    """

    case: str
    tags: tuple[str, ...]
    right: bool
    outcome: Literal["answered", "referred", "failed"]
    answered_by: str | None
    error: str | None
    cost: NanoUsd
    seconds: float
    call_id: str

    @property
    def ending(self) -> str:
        """Return how the call ended, in words."""
        match self.outcome:
            case "answered":
                return f"answered by {self.answered_by}"
            case "referred":
                return "referred"
            case "failed":
                return f"failed with {self.error}"


def load_grade(root: Path) -> Grade[Any, Any]:
    """Import `grade(case, outcome) -> bool` of the project at `root`.

    Raises:
        ConfigError: There is no such file or function.
    """
    try:
        grade = runpy.run_path(str(root / FILE)).get("grade")
    except FileNotFoundError:
        raise ConfigError(FILE, "there is no such file", REMEDY) from None
    if not callable(grade):
        raise ConfigError(FILE, "it has no function 'grade'", REMEDY)
    return grade


def score[Q: BaseModel, A: BaseModel](result: Result[Q, A], grade: Grade[Q, A]) -> Record:
    """Return how a case went.

    Raises:
        ConfigError: The grader fails on it.
    """
    outcome = result.outcome
    answered = isinstance(outcome, Answered)
    return Record(
        case=result.case.id,
        tags=result.case.tags,
        right=outcome is not None and _is_right(result.case, outcome, grade),
        outcome="failed" if outcome is None else "answered" if answered else "referred",
        answered_by=outcome.answered_by if answered else None,
        error=result.error,
        cost=result.call.cost,
        seconds=result.seconds,
        call_id=result.call.id,
    )


def _is_right[Q: BaseModel, A: BaseModel](case: Case[Q], outcome: Outcome[A], grade: Grade[Q, A]) -> bool:
    try:
        right = grade(case, outcome)
    except Exception as error:
        problem = f"it fails on the case {case.id!r} with {type(error).__name__}: {error}"
        raise ConfigError(FILE, problem, "Mend the grader or the case") from error
    if not isinstance(right, bool):
        raise ConfigError(FILE, f"for the case {case.id!r} it returns {right!r}", "Return True or False")
    return right
