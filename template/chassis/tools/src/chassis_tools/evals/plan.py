"""The plan of one suite: all that running, scoring, judging and reporting it needs, each file read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.config.constraints import Constraints
from chassis.config.project import Project
from chassis.contract import Task
from chassis_tools.evals.cases import Case, Dataset, case_ids, parse_cases
from chassis_tools.evals.identity import ACCEPTED
from chassis_tools.evals.judges import Calibration, Judge
from chassis_tools.evals.records import SuiteRun
from chassis_tools.evals.suites import Suite

RUNS = "var/evals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One suite with everything that was read for it.

    Args:
        project: The team's repository.
        name: The name of the suite.
        suite: Its entry in `evals/suites.toml`.
        constraints: `constraints.toml`, which has the thresholds that rules leave out.
        datasets: All files of `evals/cases/`.
        grader_source: The text of `evals/graders.py`, or None if there is no such file.
        judges: The judges of `evals/suites.toml`.
        judge_hashes: The version of each judge.
        calibrations: How well judges agree with people.
        accepted: The accepted run of the suite, as it is checked out.
        base: The commit whose accepted run is compared with instead, if one is named.
        base_accepted: The accepted run of that commit.
        changed_rules: How the suite and the thresholds differ from those of that commit.
        edited_evidence: The files on which the verdict rests that differ from that commit.
        only: The ids of the cases that are asked; all if empty.
        purpose: Why the run is not that of the suite: it is kept apart from it then.
    """

    project: Project
    name: str
    suite: Suite
    constraints: Constraints
    datasets: Sequence[Dataset] = ()
    grader_source: str | None = None
    judges: Mapping[str, Judge]
    judge_hashes: Mapping[str, str]
    calibrations: Mapping[str, Calibration] = field(default_factory=dict[str, Calibration])
    accepted: SuiteRun = field(default_factory=SuiteRun)
    base: str | None = None
    base_accepted: SuiteRun | None = None
    changed_rules: tuple[str, ...] = ()
    edited_evidence: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    purpose: str = ""

    def cases(self, task: Task[Any, Any]) -> tuple[Case[Any], ...]:
        """Return the cases of the suite, of the splits that it names.

        Raises:
            ConfigError: A line of a data set is not a case for this task, or there is no data set of a name.
        """
        cases = parse_cases(self.datasets, task, self.suite.cases)
        return tuple(
            case for case in cases if case.split in self.suite.splits and (not self.only or case.id in self.only)
        )

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Return the ids of the cases of the suite, without any code of the team."""
        return case_ids(self.datasets, self.suite.cases, self.suite.splits)

    @property
    def accepted_here(self) -> tuple[frozenset[str], str]:
        """Return the worse cases that this change accepts, compared with its base, and the reasons that it gives."""
        before = self.base_accepted.history if self.base_accepted else self.accepted.history
        new = [acceptance for acceptance in self.accepted.history if acceptance not in before and acceptance.reason]
        reasons = dict.fromkeys(acceptance.reason or "" for acceptance in new)
        return frozenset(case for acceptance in new for case in acceptance.worse), "; ".join(reasons)

    @property
    def folder(self) -> Path:
        """Return where the last run of the suite is kept, or the last one for this purpose."""
        # No suite has a dot in its name.
        return self.project.root / RUNS / (f"{self.name}.{self.purpose}" if self.purpose else self.name)

    @property
    def accepted_folder(self) -> Path:
        """Return where the accepted run of the suite is kept."""
        return self.project.root / ACCEPTED / self.name
