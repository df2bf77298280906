"""What a rule finds, and the one verdict that the screen, the files and the exit code share."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from chassis_tools.evals.stats.intervals import Interval
from chassis_tools.evals.suites import Severity


class GateVerdict(IntEnum):
    """The value is the exit code; 2 is kept for errors of configuration."""

    PASS = 0
    FAIL = 1
    NO_EVIDENCE = 3
    INCONCLUSIVE = 4

    @property
    def title(self) -> str:
        """Return it for people."""
        return self.name.replace("_", " ")


type VerdictName = Annotated[
    GateVerdict,
    PlainSerializer(lambda verdict: verdict.name.lower(), return_type=str),
    BeforeValidator(lambda name: GateVerdict[name.upper()] if isinstance(name, str) else name),
]
"""A verdict that files write as its name."""

BEST_TO_WORST = (GateVerdict.PASS, GateVerdict.INCONCLUSIVE, GateVerdict.NO_EVIDENCE, GateVerdict.FAIL)
"""From the best to the worst: a proven failure is not excused by what else could not be measured."""


def combine(verdicts: Iterable[GateVerdict]) -> GateVerdict:
    """Return the worst of some verdicts, PASS of none."""
    return max(verdicts, key=BEST_TO_WORST.index, default=GateVerdict.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule says.

    Args:
        rule: Its kind and evaluator, such as `floor right`.
        verdict: Whether it holds.
        sentence: Why, with the figures.
        severity: Whether the verdict depends on it.
        interval: What was measured, with its bounds, if it is a number.
        limit: What it was compared with.
        cases: The cases that speak against it.
    """

    rule: str
    verdict: VerdictName
    sentence: str
    severity: Severity = "block"
    interval: Interval | None = None
    limit: float | None = None
    cases: tuple[str, ...] = ()


def no_evidence(rule: str, sentence: str, cases: Iterable[str] = ()) -> Finding:
    """Return a finding that there is nothing to judge, which never counts as good."""
    return Finding(rule=rule, verdict=GateVerdict.NO_EVIDENCE, sentence=sentence, cases=tuple(cases))


def join_names(cases: Iterable[str], most: int = 5) -> str:
    """Return the ids of some cases in a sentence, the rest counted."""
    names = list(cases)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
