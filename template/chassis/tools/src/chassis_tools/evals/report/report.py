"""The contents of an evaluation report, the same for every format that it is rendered in."""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from chassis_tools.evals.gate_result import Finding, GateVerdict, VerdictName, combine
from chassis_tools.evals.identity import Acceptance, RunIdentity
from chassis_tools.evals.statistics import Interval

type CaseChange = Literal["regressed", "improved", "unchanged", "new", "edited"]
"""A case against the accepted run; `edited` means that its question or expectation is not the same any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRate:
    """The mean score that one evaluator gives, over all cases or those with one tag.

    Args:
        evaluator: The evaluator.
        tag: The tag; None for all cases.
        cases: Number of cases with a score.
        estimate: The rate from 0 to 1, with its 95 % confidence interval.
        accepted: The rate in the accepted run, if there is one.
        corrected: For a calibrated judge, the rate corrected for the judge's own errors.
    """

    evaluator: str
    tag: str | None
    cases: int
    estimate: Interval
    accepted: float | None
    corrected: Interval | None = None

    @property
    def change(self) -> float | None:
        """Return the difference from the accepted run in percentage points, if there is one."""
        return None if self.accepted is None else 100 * (self.estimate.value - self.accepted)

    @property
    def has_bounds(self) -> bool:
        """Return whether the interval says anything; with a single group it spans all from 0 to 1."""
        return self.estimate.high - self.estimate.low < 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineComparison:
    """The service with its models against the team's baseline, which calls none.

    Args:
        evaluator: The evaluator.
        service: The service's pass rate on the cases that both answered.
        baseline: The baseline's.
        difference: Service minus baseline, with its 95 % confidence interval.
        usd_per_additional_pass: Mean cost of an answer divided by the difference, if that is positive.
    """

    evaluator: str
    service: float
    baseline: float
    difference: Interval
    usd_per_additional_pass: float | None

    @property
    def sentence(self) -> str:
        """Return whether the models are worth their cost."""
        if self.difference.low > 0:
            conclusion = "The models beat the baseline"
        elif self.difference.high < 0:
            conclusion = "The models are worse than the baseline"
        else:
            conclusion = "The models do not significantly beat the baseline"
        rates = f"{self.service:.1%} versus {self.baseline:.1%}"
        value, low, high = (100 * each for each in (self.difference.value, self.difference.low, self.difference.high))
        cost = (
            "" if self.usd_per_additional_pass is None else f"; ${self.usd_per_additional_pass:.6f} per additional pass"
        )
        return f"{conclusion} ({self.evaluator}): {rates}, {value:+.1f} points [{low:+.1f}, {high:+.1f}]{cost}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectableEffect:
    """What a comparison with the accepted run can detect with 80 % power.

    Args:
        smallest_drop: The smallest drop in pass rate; 1 if the cases are too few for any.
        target_drop: `quality.max_regression`, the drop that must not go unnoticed.
        cases_needed: Number of cases that detect the target drop.
    """

    smallest_drop: float
    target_drop: float
    cases_needed: int

    @property
    def sentence(self) -> str:
        """Return what these cases detect, and how many cases the target takes."""
        detected = f"detect a drop of {100 * self.smallest_drop:.1f} points with 80 % power"
        result = detected if self.smallest_drop < 1 else "are too few to detect any drop with 80 % power"
        target = f"detecting {100 * self.target_drop:g} points takes {self.cases_needed} cases"
        return f"In a live run these cases {result}; {target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case: its scores by evaluator, its cost and latency per answer, and the texts that people read.

    `reasons` is what the graders say of the first repeat that is not right, one line for each.
    """

    id: str
    tags: tuple[str, ...]
    group: str
    must_pass: bool
    status: str
    error: str | None
    change: CaseChange
    scores: dict[str, float]
    accepted_scores: dict[str, float]
    seconds: float
    usd: float
    trace_id: str | None
    question: str
    expected: str
    answer: str
    accepted_answer: str
    baseline_answer: str
    reasons: str
    judge_reasons: str
    tool_calls: str

    @property
    def passes(self) -> bool:
        """Return whether every evaluator gave the full score in every repeat."""
        return bool(self.scores) and min(self.scores.values()) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """The answers of about the same confidence, and how many of them are right.

    Args:
        answers: Number of answers.
        confidence: Their mean confidence.
        right: The share that is right, with its 95 % confidence interval.
    """

    answers: int
    confidence: float
    right: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One model with one version of the prompts.

    Args:
        model: The name of the model, or `baseline`.
        prompt: The file of the prompts, or `current`.
        cases: Number of cases with a score.
        missing: Number of cases without one, such as those whose reply is not recorded.
        right: The share of right answers, with its 95 % confidence interval; None without any.
        usd: Mean cost of an answer in US dollars.
        seconds: Mean latency of an answer.
        is_best: Whether no other one is both cheaper and better.
    """

    model: str
    prompt: str
    cases: int
    missing: int
    right: Interval | None = None
    usd: float = 0.0
    seconds: float = 0.0
    is_best: bool = False


MATRIX_FILE = "matrix.json"
"""The file of a suite with its last comparison of models and prompts."""
MATRIX = TypeAdapter(tuple[MatrixCell, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    """One suite: the gate's result, the figures behind it, and each case.

    Args:
        name: The suite.
        kind: `replay` is exact and offline, `live` calls models.
        verdict: The gate's verdict.
        summary: The gate's reason, in one sentence.
        run: What the run measured.
        accepted_run: What the run that it is compared with measured, if there is one.
        evaluators: The version of each evaluator in this run and in the accepted one.
        history: The runs that were accepted, the latest last.
        repeats: How often each case was asked.
        excluded: Scores left out of every rate, by error, such as outages of a vendor.
        outcomes: How the answers came about, counted.
        cost_usd: Cost of the run in US dollars, judges included.
        judges_cost_usd: The judges' share of it.
        median_seconds: Median latency of an answer.
        p95_seconds: Its 95th percentile.
        findings: The result of each rule.
        pass_rates: Overall and by tag.
        baseline_comparisons: One per evaluator; none if no model was called.
        detectable_effect: None if no case has a score.
        has_ceiling_effect: Whether nearly every case passes, so that better and worse versions look alike.
        near_duplicates: Pairs of cases whose questions are nearly the same.
        confidence: How often answers are right, by confidence.
        confidence_problem: Why the confidence cannot be relied on, if so.
        cases: All cases but those of the holdout split.
        matrix: The last comparison of models and prompts, if there is one.
    """

    name: str
    kind: Literal["replay", "live"]
    verdict: VerdictName
    summary: str
    run: RunIdentity
    accepted_run: RunIdentity | None
    evaluators: dict[str, tuple[str, str]]
    history: tuple[Acceptance, ...]
    repeats: int
    excluded: dict[str, int]
    outcomes: dict[str, int]
    cost_usd: float
    judges_cost_usd: float
    median_seconds: float
    p95_seconds: float
    findings: tuple[Finding, ...]
    pass_rates: tuple[PassRate, ...]
    baseline_comparisons: tuple[BaselineComparison, ...]
    detectable_effect: DetectableEffect | None
    has_ceiling_effect: bool
    near_duplicates: tuple[tuple[str, str], ...]
    confidence: tuple[ConfidenceBin, ...]
    confidence_problem: str | None
    cases: tuple[CaseResult, ...]
    matrix: tuple[MatrixCell, ...] = ()

    @property
    def plotted(self) -> list[tuple[MatrixCell, float, float]]:
        """Return the cells of the matrix that are complete, each with its place in a plot: cost and quality."""
        cells = [cell for cell in self.matrix if cell.right and not cell.missing]
        dearest = max((cell.usd for cell in cells), default=0) or 1
        placed = ((cell, cell.usd / dearest, cell.right.value) for cell in cells if cell.right)
        return sorted(placed, key=lambda place: place[1:])

    @property
    def red_cases(self) -> list[CaseResult]:
        """Return the cases that a rule which blocks fails for, those that got worse first."""
        failing = {
            case
            for finding in self.findings
            if finding.verdict is GateVerdict.FAIL and finding.severity == "block"
            for case in finding.cases
        }
        red = [case for case in self.cases if case.id in failing]
        return sorted(red, key=lambda case: case.change != "regressed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All suites that were evaluated together, and their common verdict.

    With a base commit, whose accepted runs were compared with, `edited_evidence` lists the files on which the verdict
    rests and that differ from it, each after `A`, `M` or `D`.
    """

    project: str
    verdict: VerdictName
    exit_code: int
    summary: str
    suites: tuple[SuiteReport, ...]
    base: str | None = None
    edited_evidence: tuple[str, ...] = ()

    @classmethod
    def from_suites(
        cls,
        project: str,
        suites: tuple[SuiteReport, ...],
        base: str | None = None,
        edited_evidence: tuple[str, ...] = (),
    ) -> "Report":
        """Return a report with the worst verdict of its suites, NO EVIDENCE if there is none."""
        if suites:
            verdict = combine(suite.verdict for suite in suites)
            summary = ". ".join(suite.summary for suite in suites if suite.verdict is verdict)
        else:
            verdict, summary = GateVerdict.NO_EVIDENCE, "No suite is defined; add one to evals/suites.toml"
        return cls(
            project=project,
            verdict=verdict,
            exit_code=verdict.value,
            summary=summary,
            suites=suites,
            base=base,
            edited_evidence=edited_evidence,
        )

    @property
    def headline(self) -> str:
        """Return the verdict and its reason."""
        return f"{self.verdict.title}. {self.summary}"
