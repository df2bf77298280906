"""The evaluators: the team's own functions in `evals/graders.py`, each with a fingerprint."""

import runpy
import tokenize
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.errors import ConfigError
from chassis.usd import NanoUsd
from chassis_tools.evals.cases import Case
from chassis_tools.evals.jsonl import json_hash
from chassis_tools.evals.outcomes import CaseOutcome

FILE = "evals/graders.py"

type Grader = Callable[[Case[Any], CaseOutcome[Any]], object]
"""What the team wrote; that it returns a bool, a number from 0 to 1 or None is checked, not believed."""


class JudgeFailed(Exception):
    """A judge could not be asked, or said neither PASS nor FAIL.

    Args:
        error: The name of what went wrong.
        reason: What it said instead.
        cost: What it took all the same.
    """

    def __init__(self, error: str, reason: str = "", cost: NanoUsd = 0) -> None:
        super().__init__(error)
        self.reason, self.cost = reason, cost


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluator says of one outcome.

    Args:
        value: From 0 (wrong) to 1 (right).
        reason: Why, in the words of a judge; code needs none.
        cost: What a judge took for it.
    """

    value: float
    reason: str = ""
    cost: NanoUsd = 0


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Says how good an outcome is.

    Args:
        name: What suites and records call it.
        fingerprint: Changes with it, because values of two different evaluators cannot be compared.
        applies: Whether it says anything about a case at all.
        mark: How good an outcome is, or None if it says nothing about this one.
        is_judge: Whether it asks a model, which costs money and errs: `mark` may raise `JudgeFailed`.
    """

    name: str
    hash: str
    applies: Callable[[Case[Any], CaseOutcome[Any]], bool]
    evaluate: Callable[[Case[Any], CaseOutcome[Any]], Awaitable[Score | None]]
    is_judge: bool = False


def load_grader_function(root: Path, name: str) -> Grader:
    """Return the function `name(case, outcome)` of the project at `root`.

    Raises:
        ConfigError: There is no such file or function.
    """
    remedy = f"Write `def {name}(case, outcome) -> bool` in it"
    try:
        grade = runpy.run_path(str(root / FILE)).get(name)
    except FileNotFoundError:
        raise ConfigError(FILE, "there is no such file", remedy) from None
    if not callable(grade):
        raise ConfigError(FILE, f"it has no function {name!r}", remedy)
    return grade


def load_grader(root: Path, name: str) -> Evaluator:
    """Return the function `name(case, outcome)` of the project at `root` as an evaluator.

    Raises:
        ConfigError: There is no such file or function.
    """
    grade = load_grader_function(root, name)

    async def mark(case: Case[Any], outcome: CaseOutcome[Any]) -> Score | None:
        value = _graded(grade, case, outcome)
        return None if value is None else Score(value)

    def applies(case: Case[Any], outcome: CaseOutcome[Any]) -> bool:
        return _graded(grade, case, outcome) is not None

    return Evaluator(name, json_hash([name, *_words(root / FILE)]), applies, mark)


def _graded(grade: Grader, case: Case[Any], outcome: CaseOutcome[Any]) -> float | None:
    try:
        value = grade(case, outcome)
    except Exception as error:
        problem = f"it fails on the case {case.id!r} with {type(error).__name__}: {error}"
        raise ConfigError(FILE, problem, "Mend the grader or the case") from error
    if value is None:
        return None
    if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
        problem = f"for the case {case.id!r} it returns {value!r}"
        raise ConfigError(FILE, problem, "Return True, False, a number from 0 to 1, or None if it does not apply")
    return float(value)


def _words(path: Path) -> Iterator[str]:
    """Return the code without comments, layout and imports: none of them changes what a grader says."""
    in_import = first = True
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if first:
                in_import = token.string in {"import", "from"}
            first = token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL, tokenize.ENCODING}
            if not in_import and token.type not in {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}:
                yield token.string
