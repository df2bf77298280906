"""The type of `evals/suites.toml`: which cases are asked how, what must hold for the answers, and which judges help.

A threshold that a rule leaves out comes from `constraints.toml`, so that every number is written once.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import Field, model_validator

from chassis.config.constraints import Dollars, Fraction
from chassis.config.toml_file import Section, load_toml
from chassis.errors import ConfigError
from chassis_tools.evals.cases import Split
from chassis_tools.evals.judges import FILE, MIN_AGREEMENT, Judge

type MaxIncrease = Annotated[float, Field(ge=0)]

type Severity = Literal["block", "warn"]


class BaseRule(Section):
    """What all rules have."""

    severity: Severity = "block"
    """`block` decides the verdict; `warn` is only shown."""


class FloorRule(BaseRule):
    """Enough answers are right."""

    kind: Literal["floor"]
    evaluator: str
    at_least: Fraction | None = None
    """Instead of `quality.accuracy_floor`."""
    tag: str | None = None
    """Only for cases with this tag."""


class RegressionRule(BaseRule):
    """The answers are no worse than those of the accepted run."""

    kind: Literal["regression"]
    evaluator: str
    max_drop: Fraction | None = None
    """Instead of `quality.max_regression`; a replay suite allows no case to get worse."""
    slices: tuple[str, ...] = ()
    """Tags that are also compared on their own."""


class NeverRule(BaseRule):
    """Something does not happen in any case and any repeat."""

    kind: Literal["never"]
    evaluator: str


class MustPassRule(BaseRule):
    """The cases marked `must_pass` pass in every repeat."""

    kind: Literal["must-pass"]
    evaluator: str


class LatencyRule(BaseRule):
    """95 % of the answers come in time."""

    kind: Literal["latency"]
    p95_seconds: float | None = Field(default=None, gt=0)
    """Instead of `latency.p95_seconds`."""
    max_increase: MaxIncrease | None = None
    """The largest increase of the mean latency over the accepted run, as a fraction: 0.15 is 15 %."""


class CostRule(BaseRule):
    """An answer costs no more than this on average."""

    kind: Literal["cost"]
    mean_usd: Dollars | None = None
    """Instead of `cost.mean_usd`."""
    max_increase: MaxIncrease | None = None
    """The largest increase over the accepted run, as a fraction: 0.15 is 15 %."""


class ModelShareRule(BaseRule):
    """Enough answers are a model's own, so that a good baseline cannot hide a useless model."""

    kind: Literal["model-share"]
    at_least: Fraction
    """The share of the answers that a model must give."""


class BaselineRule(BaseRule):
    """Where a model answers, it is better than the baseline."""

    kind: Literal["baseline"]
    evaluator: str
    at_least: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """The least difference between their rates of right answers, as a fraction: 0.05 is 5 points."""


class JudgeRule(BaseRule):
    """A judge agrees with people."""

    kind: Literal["judge"]
    evaluator: str
    at_least: Fraction = MIN_AGREEMENT
    """The share of good answers that it must pass, and of bad answers that it must fail."""


type Rule = Annotated[
    FloorRule
    | RegressionRule
    | NeverRule
    | MustPassRule
    | LatencyRule
    | CostRule
    | ModelShareRule
    | BaselineRule
    | JudgeRule,
    Field(discriminator="kind"),
]


class Suite(Section):
    """Cases that are asked and scored together."""

    kind: Literal["replay", "live"]
    """`replay` uses recorded replies, or the baseline, and is exact; `live` asks models and uses statistics."""
    cases: tuple[str, ...] = Field(min_length=1)
    """Files of `evals/cases/`, without `.jsonl`."""
    splits: tuple[Split, ...] = ("dev", "gate")
    """Cases of other splits are left out."""
    evaluators: tuple[str, ...] = Field(min_length=1)
    """Functions of `evals/graders.py`, or names of `[judges]`."""
    rules: tuple[Rule, ...]
    """What must hold."""
    repeats: int = Field(default=1, ge=1, le=20)
    """How often each case is asked."""
    max_repeats: int | None = Field(default=None, ge=1, le=20)
    """How often each case is asked at most, if a rule that blocks is inconclusive."""
    max_concurrency: int = Field(default=8, ge=1, le=100)
    """How many cases are asked at the same time."""
    budget_usd: Dollars | None = None
    """What one run may cost; `cost.per_caller_day_usd` if left out."""
    max_excluded: Fraction = 0.02
    """A run that loses a larger share of its trials to outages and failing judges is no evidence."""
    max_edited: Fraction = 0.05
    """The share of the cases that may be edited before the accepted run is no longer comparable; one always may."""
    on_inconclusive: Literal["pass", "fail"] = "pass"
    """The verdict of a run that proves the service neither good nor bad."""

    @property
    def most_repeats(self) -> int:
        """Return how often a case may be asked in all."""
        return max(self.repeats, self.max_repeats or 0)

    @property
    def blocking_evaluators(self) -> frozenset[str]:
        """Return the evaluators that rules which block depend on."""
        blocking = (rule for rule in self.rules if rule.severity == "block" and not isinstance(rule, JudgeRule))
        return frozenset(name for rule in blocking if (name := evaluator_of(rule)))

    @model_validator(mode="after")
    def _repeats_fit(self) -> Self:
        if self.kind == "replay" and self.most_repeats > 1:
            raise ValueError("a replay suite gets the same reply each time; leave out repeats and max_repeats")
        if self.max_repeats is not None and self.max_repeats < self.repeats:
            raise ValueError(f"max_repeats is {self.max_repeats}; write {self.repeats}, the repeats, or more")
        return self

    @model_validator(mode="after")
    def _rules_fit(self) -> Self:
        for rule in self.rules:
            if (
                self.kind == "replay"
                and isinstance(rule, RegressionRule)
                and (rule.slices or rule.max_drop is not None)
            ):
                raise ValueError("a replay suite allows no case to get worse; leave out max_drop and slices")
            name = evaluator_of(rule)
            # The judge rule is about the judge itself, which the suite need not ask.
            if name is not None and name not in self.evaluators and not isinstance(rule, JudgeRule):
                raise ValueError(f"the {rule.kind} rule names {name!r}; add it to evaluators or correct the name")
        return self


class Suites(Section):
    """The whole of `evals/suites.toml`."""

    suites: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], Suite]
    judges: dict[str, Judge] = Field(default_factory=dict)
    """Models that look for one failure each, where code cannot tell."""

    def select(self, names: Sequence[str]) -> dict[str, Suite]:
        """Return the suites of these names, or all replay suites if there are no names.

        Raises:
            ConfigError: There is no suite of a name.
        """
        if not names:
            return {name: suite for name, suite in self.suites.items() if suite.kind == "replay"}
        for name in names:
            if name not in self.suites:
                choices = ", ".join(self.suites) or "none"
                raise ConfigError(FILE, f"there is no suite {name!r}", f"Choose from: {choices}")
        return {name: self.suites[name] for name in names}


def evaluator_of(rule: Rule) -> str | None:
    """Return the evaluator that a rule depends on; rules about latency, cost and the models' share need none."""
    return None if isinstance(rule, LatencyRule | CostRule | ModelShareRule) else rule.evaluator


def load_suites(root: Path) -> Suites:
    """Read `evals/suites.toml` of the project at `root`.

    Raises:
        ConfigError: The file is missing or does not fit, or a suite is missing that has an accepted run.
    """
    suites = load_toml(root / FILE, Suites)
    for folder in sorted((root / "evals/accepted").glob("*/")):
        if folder.name not in suites.suites:
            where, problem = f"{FILE}: suites.{folder.name}", "the suite is missing, but it has an accepted run"
            raise ConfigError(where, problem, f"Restore the suite, or remove evals/accepted/{folder.name}/")
    return suites


def suite_changes(before: Suite, after: Suite) -> Iterator[str]:
    """Yield what differs between two versions of a suite: its rules, its evaluators, its cases."""
    for field in type(after).model_fields:
        old, new = getattr(before, field), getattr(after, field)
        if field == "rules":
            yield from (f"without {_described(rule)}" for rule in old if rule not in new)
            yield from (f"with {_described(rule)}" for rule in new if rule not in old)
        elif old != new:
            yield f"{field}: {_listed(old)} -> {_listed(new)}"


def _described(rule: BaseRule) -> str:
    """Return a rule as its line in the file has it."""
    values = {"kind": getattr(rule, "kind", "")} | rule.model_dump(exclude_defaults=True)
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"


def _listed(value: object) -> str:
    return ", ".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)
