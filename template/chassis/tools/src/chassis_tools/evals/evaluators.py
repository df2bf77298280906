"""Evaluators: the team's own functions in `evals/graders.py`, and the interface that judges share with them."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
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
        hash: Changes with the evaluator, because scores of two versions cannot be compared.
    """

    name: str
    hash: str
    is_judge: ClassVar[bool] = False
    """Whether it asks a model, which costs money and can raise `JudgeFailed`."""

    @abstractmethod
    def applies(self, case: Case[Any], outcome: CaseOutcome[Any]) -> bool:
        """Return whether it scores such an outcome of this case at all."""

    @abstractmethod
    async def evaluate(self, case: Case[Any], outcome: CaseOutcome[Any]) -> Score | None:
        """Return the score, or None if it does not apply."""


@dataclass(frozen=True, slots=True)
class GraderEvaluator(Evaluator):
    """A function of the team as an evaluator."""

    grader: Grader

    def applies(self, case: Case[Any], outcome: CaseOutcome[Any]) -> bool:
        """Return whether the function returns anything but None."""
        return self._value(case, outcome) is not None

    async def evaluate(self, case: Case[Any], outcome: CaseOutcome[Any]) -> Score | None:
        """Return what the function returns.

        Raises:
            ConfigError: It raises, or returns something else than a score.
        """
        value = self._value(case, outcome)
        return None if value is None else Score(value)

    def _value(self, case: Case[Any], outcome: CaseOutcome[Any]) -> float | None:
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
        return float(value)


class GraderModule:
    """The functions of `evals/graders.py`; the file is read and executed once.

    Args:
        source: The text of the file, or None if there is none.
    """

    def __init__(self, source: str | None) -> None:
        self._source = source
        self._module = ModuleType("evals_graders")
        # Some decorators, such as dataclass, look the module of a class up by its name.
        sys.modules[self._module.__name__] = self._module
        if source is not None:
            exec(compile(source, FILE, "exec"), self._module.__dict__)  # noqa: S102  it is the team's own code

    @classmethod
    def load(cls, root: Path) -> "GraderModule":
        """Read and execute the graders of the project at `root`."""
        return cls(read_graders(root))

    def function(self, name: str) -> Grader:
        """Return the function `name(case, outcome)`.

        Raises:
            ConfigError: There is no such file or function.
        """
        remedy = f"Write `def {name}(case, outcome) -> bool` in it"
        if self._source is None:
            raise ConfigError(FILE, "there is no such file", remedy)
        grader = getattr(self._module, name, None)
        if not callable(grader):
            raise ConfigError(FILE, f"it has no function {name!r}", remedy)
        return grader

    def evaluator(self, name: str) -> GraderEvaluator:
        """Return the function `name(case, outcome)` as an evaluator.

        Raises:
            ConfigError: There is no such file or function.
        """
        return GraderEvaluator(name, source_hash(name, self._source or ""), self.function(name))


def read_graders(root: Path) -> str | None:
    """Return the text of `evals/graders.py` of the project at `root`, or None if there is no such file."""
    try:
        return (root / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
