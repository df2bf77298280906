"""`evals/suites.toml`, typed: which cases are asked how, and what must hold for the answers.

A threshold that a rule leaves out is the one of `constraints.toml`, so that every number stands once.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chassis.config.constraints import Dollars, Fraction
from chassis.config.toml_file import Section, load_toml
from chassis.errors import ConfigError
from chassis_tools.evals.cases import Split

FILE = "evals/suites.toml"
LEAST_AGREEMENT = 0.90
"""What a judge needs before it may block."""

type Severity = Literal["block", "warn"]


class BaseRule(Section):
    """What all rules have."""

    severity: Severity = "block"
    """Whether the verdict depends on it, or whether it is only shown."""


class FloorRule(BaseRule):
    """So many of the answers are right."""

    kind: Literal["floor"]
    evaluator: str
    at_least: Fraction | None = None
    """Instead of `quality.accuracy_floor`."""
    tag: str | None = None
    """Only for cases with this tag."""


class RegressionRule(BaseRule):
    """The answers are no worse than those that were accepted."""

    kind: Literal["regression"]
    evaluator: str
    max_drop: Fraction | None = None
    """Instead of `quality.max_regression`; a replay suite allows no case at all to get worse."""
    slices: tuple[str, ...] = ()
    """Tags that are looked at on their own, too."""


class NeverRule(BaseRule):
    """Something does not happen in any case and any repeat."""

    kind: Literal["never"]
    evaluator: str


class MustPassRule(BaseRule):
    """The cases marked `must_pass` pass, each time."""

    kind: Literal["must-pass"]
    evaluator: str


class LatencyRule(BaseRule):
    """95 of 100 answers come in time."""

    kind: Literal["latency"]
    p95_seconds: float | None = Field(default=None, gt=0)
    """Instead of `latency.p95_seconds`."""


class CostRule(BaseRule):
    """An answer does not cost more, on average."""

    kind: Literal["cost"]
    mean_usd: Dollars | None = None
    """Instead of `cost.mean_usd`."""
    max_increase: float | None = Field(default=None, ge=0)
    """The largest increase over the accepted run, as a share; 0.15 is 15 %."""


class JudgeRule(BaseRule):
    """A judge agrees with people."""

    kind: Literal["judge"]
    evaluator: str
    at_least: Fraction = LEAST_AGREEMENT
    """The shares of good answers that it passes and of bad ones that it fails, each."""


type Rule = Annotated[
    FloorRule | RegressionRule | NeverRule | MustPassRule | LatencyRule | CostRule | JudgeRule,
    Field(discriminator="kind"),
]


class Suite(Section):
    """Cases that are asked and judged together."""

    kind: Literal["replay", "live"]
    """`replay` uses recorded replies, or the baseline, and is exact; `live` asks models, repeats and reckons."""
    cases: tuple[str, ...] = Field(min_length=1)
    """Files of `evals/cases/`, without `.jsonl`."""
    splits: tuple[Split, ...] = ("dev", "gate")
    """Cases of other splits are left out."""
    evaluators: tuple[str, ...] = Field(min_length=1)
    """Functions of `evals/graders.py`, or judges of `evals/judges.toml`."""
    rules: tuple[Rule, ...]
    """What must hold."""
    repeats: int = Field(default=1, ge=1, le=20)
    """How often each case is asked."""
    max_repeats: int | None = Field(default=None, ge=1, le=20)
    """How often at most, when a rule that blocks is inconclusive."""
    at_once: int = Field(default=8, ge=1, le=100)
    """How many cases are asked at the same time."""
    spend_usd: Dollars | None = None
    """What one run may cost; `cost.per_caller_day_usd` if left out."""
    max_excluded: Fraction = 0.02
    """With a larger share of outages and judges' errors the run proves nothing."""
    on_inconclusive: Literal["pass", "fail"] = "pass"
    """What becomes of a run that shows neither good nor bad."""

    @property
    def most_repeats(self) -> int:
        """Return how often a case may be asked in all."""
        return max(self.repeats, self.max_repeats or 0)

    @property
    def deciding(self) -> frozenset[str]:
        """Return the evaluators on whose word a rule blocks."""
        blocking = (rule for rule in self.rules if rule.severity == "block" and not isinstance(rule, JudgeRule))
        return frozenset(name for rule in blocking if (name := getattr(rule, "evaluator", None)))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind == "replay" and self.most_repeats > 1:
            raise ValueError("a replay suite gets the same reply each time; leave repeats and max_repeats out")
        if self.max_repeats is not None and self.max_repeats < self.repeats:
            raise ValueError(f"max_repeats is {self.max_repeats}; write {self.repeats}, the repeats, or more")
        known = set(self.evaluators)
        for rule in self.rules:
            if (
                self.kind == "replay"
                and isinstance(rule, RegressionRule)
                and (rule.slices or rule.max_drop is not None)
            ):
                raise ValueError("in a replay suite no case at all may get worse; leave max_drop and slices out")
            named = getattr(rule, "evaluator", None)
            if named is not None and named not in known and not isinstance(rule, JudgeRule):
                raise ValueError(f"the {rule.kind} rule names {named!r}; add it to evaluators or mend the name")
        return self


class Suites(Section):
    """The whole file."""

    suites: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], Suite]

    def named(self, names: tuple[str, ...]) -> dict[str, Suite]:
        """Return the suites of these names, or all that replay.

        Raises:
            ConfigError: There is none of a name.
        """
        if not names:
            return {name: suite for name, suite in self.suites.items() if suite.kind == "replay"}
        for name in names:
            if name not in self.suites:
                known = ", ".join(self.suites) or "none"
                raise ConfigError(FILE, f"there is no suite {name!r}", f"Choose from: {known}")
        return {name: self.suites[name] for name in names}


def load_suites(root: Path) -> Suites:
    """Read and check `evals/suites.toml` of the project at `root`.

    Raises:
        ConfigError: It is missing or says something that cannot be meant, or a suite was accepted once and is gone.
    """
    suites = load_toml(root / FILE, Suites)
    for folder in sorted((root / "evals/accepted").glob("*/")):
        if folder.name not in suites.suites:
            where = f"{FILE}: suites.{folder.name}"
            raise ConfigError(where, "the suite is gone, but its accepted run is there", _restore(folder.name))
    return suites


def _restore(name: str) -> str:
    return f"Bring it back, or remove evals/accepted/{name}/ for everybody to see"
