"""Everything that a rule may look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis.config.constraints import Constraints
from chassis_tools.evals.judges import Calibration
from chassis_tools.evals.records import ScoreRecord
from chassis_tools.evals.suites import Suite

ALPHA = 0.05
"""The probability of a false alarm, and of a missed regression, in one look."""


@dataclass(frozen=True, slots=True)
class GateContext:
    """One run and what it is held against.

    Args:
        name: The suite's name.
        suite: The suite.
        constraints: Where thresholds come from that a rule leaves out.
        records: The run.
        accepted: The run that was accepted; none if none was.
        judges: The fingerprints of the evaluators that are judges, by name.
        calibrations: What is known about judges.
    """

    name: str
    suite: Suite
    constraints: Constraints
    records: Sequence[ScoreRecord]
    accepted: Sequence[ScoreRecord]
    judges: Mapping[str, str]
    calibrations: Mapping[str, Calibration]

    @property
    def is_exact(self) -> bool:
        """Return whether a repetition would give the very same answers, so that no statistics are needed."""
        return self.suite.kind == "replay"

    @property
    def repeats(self) -> int:
        """Return how often a case was asked."""
        return max((record.repeat for record in self.records), default=0)

    @property
    def alpha(self) -> float:
        """Return the error probability of this look: a second look, with added repeats, gets half of it."""
        return ALPHA / 2 if self.repeats > self.suite.repeats else ALPHA
