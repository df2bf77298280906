"""Evaluators: the team's functions in `evals/graders.py`, and the interface that judges share with them."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from chassis.errors import ConfigError
from chassis.usd import NanoUsd
from chassis_tools.evals.cases import Case
from chassis_tools.evals.hashes import source_hash
from chassis_tools.evals.outcomes import CaseOutcome

FILE = "evals/graders.py"

type Grader = Callable[[Case[Any], CaseOutcome[Any]], object]
"""A function of the team; whether it returns a bool, a number from 0 to 1 or None is checked at each call."""


class JudgeFailed(Exception):
    """A judge could not be asked, or answered neither PASS nor FAIL.

    Args:
        error: The name of the error.
        reason: What the judge said instead.
        cost: What the attempt cost.
    """

    def __init__(self, error: str, reason: str = "", cost: NanoUsd = 0) -> None:
        super().__init__(error)
        self.reason, self.cost = reason, cost


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluator says about one outcome.

    Args:
        value: From 0 (wrong) to 1 (right).
        reason: A judge's reason; graders give none.
        cost: What it cost to ask a judge.
    """

    value: float
    reason: str = ""
    cost: NanoUsd = 0


@dataclass(frozen=True, slots=True)
class Evaluator(ABC):
    """Scores outcomes.

    Args:
        name: Its name in suites and records.
        hash: Changes with the evaluator, because the scores of two versions cannot be compared.
    """

    name: str
    hash: str
    is_judge: ClassVar[bool] = False
    """A judge asks a model about each answer, which costs money and can raise `JudgeFailed`."""

    @abstractmethod
    async def evaluate(self, case: Case[Any], outcome: CaseOutcome[Any]) -> Score | None:
        """Return the score of an outcome, or None if the evaluator does not apply to it."""


@dataclass(frozen=True, slots=True)
class GraderEvaluator(Evaluator):
    """A function of the team as an evaluator."""

    grader: Grader

    async def evaluate(self, case: Case[Any], outcome: CaseOutcome[Any]) -> Score | None:
        """Return what the function returns.

        Raises:
            ConfigError: The function raises, or returns something else than a score.
        """
        try:
            value = self.grader(case, outcome)
        except Exception as error:
            problem = f"{self.name} fails on the case {case.id!r} with {type(error).__name__}: {error}"
            raise ConfigError(FILE, problem, "Correct the grader or the case") from error
        if value is None:
            return None
        if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
            problem = f"{self.name} returns {value!r} for the case {case.id!r}"
            raise ConfigError(FILE, problem, "Return True, False, a number from 0 to 1, or None if it does not apply")
        return Score(float(value))


@dataclass(frozen=True, slots=True)
class Graders:
    """The content of `evals/graders.py`.

    Args:
        source: Its text, or None if there is no such file.
        functions: Its functions, by name.
    """

    source: str | None
    functions: Mapping[str, object]

    @classmethod
    def execute(cls, source: str | None) -> "Graders":
        """Execute the text of `evals/graders.py`."""
        module = ModuleType("evals_graders")
        # Some decorators, such as dataclass, look up the module of a class by its name.
        sys.modules[module.__name__] = module
        exec(compile(source or "", FILE, "exec"), vars(module))  # noqa: S102  it is the team's own code
        return cls(source, vars(module))

    def function(self, name: str) -> Grader:
        """Return the function `name(case, outcome)`.

        Raises:
            ConfigError: There is no such file or function.
        """
        grader = self.functions.get(name)
        if not callable(grader):
            problem = "there is no such file" if self.source is None else f"it has no function {name!r}"
            raise ConfigError(FILE, problem, f"Write `def {name}(case, outcome) -> bool` in it")
        return grader

    def evaluator(self, name: str) -> GraderEvaluator:
        """Return the function `name(case, outcome)` as an evaluator; see `function`."""
        return GraderEvaluator(name, source_hash(name, self.source or ""), self.function(name))


def load_grader(root: Path, name: str) -> Grader:
    """Return the function `name(case, outcome)` of `evals/graders.py` of the project at `root`, for scripts.

    Raises:
        ConfigError: There is no such file or function.
    """
    return Graders.execute(read_graders(root)).function(name)


def read_graders(root: Path) -> str | None:
    """Return the text of `evals/graders.py` of the project at `root`, or None if there is no such file."""
    path = root / FILE
    return path.read_text(encoding="utf-8") if path.exists() else None
