"""Everything that is told about a run. It is written to `report.json`, and every other form is made from that file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from chassis_tools.evals.gate.result import Finding, GateVerdict, VerdictName, combine
from chassis_tools.evals.stats.intervals import Interval

FILE = "report.json"

type Change = Literal["worse", "better", "same", "new", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How good the answers are, in the eyes of one evaluator.

    Args:
        evaluator: Who says so.
        tag: For which cases; None for all.
        cases: How many.
        now: The mean value, with its 95 % interval.
        accepted: The same in the accepted run, if it is there.
        corrected: For a calibrated judge, the rate without its known errors.
    """

    evaluator: str
    tag: str | None
    cases: int
    now: Interval
    accepted: float | None
    corrected: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """The service with its models against the team's baseline, which asks none.

    Args:
        evaluator: Who judges.
        service: The service's mean value.
        baseline: The baseline's.
        gain: The difference, with its 95 % interval.
        usd_per_extra: What one more right answer costs, if there are more.
    """

    evaluator: str
    service: float
    baseline: float
    gain: Interval
    usd_per_extra: float | None

    @property
    def sentence(self) -> str:
        """Return whether the models are worth asking."""
        figures = f"{self.service:.1%} against {self.baseline:.1%}"
        bounds = f"{100 * self.gain.value:+.1f} [{100 * self.gain.low:+.1f}, {100 * self.gain.high:+.1f}] points"
        if self.gain.low > 0:
            said = "The models beat the baseline"
        elif self.gain.high < 0:
            said = "The models are worse than the baseline"
        else:
            said = "The models do not certainly beat the baseline"
        price = "" if self.usd_per_extra is None else f"; one more right answer costs ${self.usd_per_extra:.6f}"
        return f"{said} ({self.evaluator}): {figures}, {bounds}{price}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the data set can show.

    Args:
        detectable: The smallest drop that is found in 80 of 100 runs.
        wanted: The drop that `quality.max_regression` speaks of.
        needed: How many cases it takes to find that one.
    """

    detectable: float
    wanted: float
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """One case. What was asked and answered is here and in `trials.jsonl`, nowhere else."""

    id: str
    tags: tuple[str, ...]
    group: str
    must_pass: bool
    status: str
    error: str | None
    change: Change
    values: dict[str, float]
    accepted: dict[str, float]
    seconds: float
    usd: float
    trace_id: str | None
    question: str
    expected: str
    answer: str
    accepted_answer: str
    baseline_answer: str
    reasons: str

    @property
    def is_right(self) -> bool:
        """Return whether every evaluator is content."""
        return bool(self.values) and min(self.values.values()) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    """One suite."""

    name: str
    kind: Literal["replay", "live"]
    verdict: VerdictName
    sentence: str
    run: str
    accepted_run: str | None
    repeats: int
    excluded: dict[str, int]
    outcomes: dict[str, int]
    spent_usd: float
    judges_usd: float
    median_seconds: float
    p95_seconds: float
    findings: tuple[Finding, ...]
    rates: tuple[Rate, ...]
    duels: tuple[Duel, ...]
    reach: Reach | None
    saturated: bool
    cases: tuple[CaseLine, ...]

    @property
    def is_undecided(self) -> bool:
        """Return whether more repeats could help: something that blocks is inconclusive, and nothing is bad."""
        return combine(each.verdict for each in self.findings if each.severity == "block") is GateVerdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All suites that were judged together."""

    project: str
    verdict: VerdictName
    exit_code: int
    sentence: str
    suites: tuple[SuiteReport, ...]

    @classmethod
    def of(cls, project: str, suites: tuple[SuiteReport, ...]) -> "Report":
        """Return the report whose verdict is the worst of its suites'; without any suite nothing is shown."""
        if not suites:
            verdict, sentence = GateVerdict.NO_EVIDENCE, "There is no suite to judge; write one in evals/suites.toml"
        else:
            verdict = combine(suite.verdict for suite in suites)
            sentence = ". ".join(suite.sentence for suite in suites if suite.verdict is verdict)
        return cls(
            project=project,
            verdict=verdict,
            exit_code=verdict.value,
            sentence=f"{verdict.title}. {sentence}",
            suites=suites,
        )


ADAPTER = TypeAdapter(Report)


def save(report: Report, folder: Path) -> None:
    """Write `report.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(ADAPTER.dump_json(report, indent=1) + b"\n")


def load(folder: Path) -> Report:
    """Read `report.json`."""
    return ADAPTER.validate_json((folder / FILE).read_bytes())
