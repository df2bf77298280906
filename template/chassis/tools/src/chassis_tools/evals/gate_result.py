"""What the gate reads and what it says: one verdict, which the screen, the files and the exit code share.

A run that asked too little, lost too much, or whose accepted run was altered is no evidence, whatever its scores.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from chassis_tools.evals.case_scores import COUNTED, distinct_trials
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.records import NOT_RECORDED, ScoreRecord, SuiteRun
from chassis_tools.evals.statistics import Interval
from chassis_tools.evals.suites import FILE, Severity

ALPHA = 0.05
"""The probability of a false alarm, and of a missed regression, in one look at the data."""


class GateVerdict(IntEnum):
    """The verdict on a run; the value is the exit code. 2 is reserved for errors of configuration."""

    PASS = 0
    FAIL = 1
    NO_EVIDENCE = 3
    INCONCLUSIVE = 4

    @property
    def title(self) -> str:
        """Return the verdict as people read it."""
        return self.name.replace("_", " ")


type VerdictName = Annotated[
    GateVerdict,
    PlainSerializer(lambda verdict: verdict.name.lower(), return_type=str),
    BeforeValidator(lambda name: GateVerdict[name.upper()] if isinstance(name, str) else name),
]
"""A verdict that files store by its name."""

BEST_TO_WORST = (GateVerdict.PASS, GateVerdict.INCONCLUSIVE, GateVerdict.NO_EVIDENCE, GateVerdict.FAIL)
"""A proven failure is the worst: what could not be measured does not excuse it."""


@dataclass(frozen=True, slots=True)
class GateContext:
    """A finished run and its plan: everything that a rule reads.

    Args:
        plan: The plan of the suite.
        run: What the run wrote.
        accepted_run: The run to compare with.
        why_not_base: Why that is not the accepted run of the base commit although one is named, if so.
    """

    plan: Plan
    run: SuiteRun
    accepted_run: SuiteRun
    why_not_base: str | None = None

    @property
    def records(self) -> Sequence[ScoreRecord]:
        """Return the scores of the run."""
        return self.run.records

    @property
    def accepted(self) -> Sequence[ScoreRecord]:
        """Return the scores of the accepted run."""
        return self.accepted_run.records

    @property
    def is_exact(self) -> bool:
        """Return whether another run would give the same answers, so that no statistics are needed."""
        return self.plan.suite.kind == "replay"

    @property
    def repeats(self) -> int:
        """Return how often a case was asked."""
        return max((record.repeat for record in self.records), default=0)

    @property
    def alpha(self) -> float:
        """Return the error probability of this look: a second look, with added repeats, gets half of it."""
        return ALPHA / 2 if self.repeats > self.plan.suite.repeats else ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule says about a run.

    Args:
        rule: Its kind and evaluator, such as `floor right`.
        verdict: Whether it holds.
        sentence: Why, with the figures.
        severity: Whether the verdict on the run depends on it.
        interval: What was measured, with its confidence bounds, if it is a number.
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


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict on one run.

    Args:
        suite: The name of the suite.
        verdict: Whether the run is good enough.
        sentence: Why.
        findings: What each rule says; those about the run as a whole come first.
    """

    suite: str
    verdict: GateVerdict
    sentence: str
    findings: tuple[Finding, ...]

    @property
    def is_inconclusive(self) -> bool:
        """Return whether more repeats could help: a rule that blocks is inconclusive, and none is worse than that."""
        return combine_blocking(self.findings) is GateVerdict.INCONCLUSIVE


def combine(verdicts: Iterable[GateVerdict]) -> GateVerdict:
    """Return the worst verdict, or PASS if there is none."""
    return max(verdicts, key=BEST_TO_WORST.index, default=GateVerdict.PASS)


def combine_blocking(findings: Iterable[Finding]) -> GateVerdict:
    """Return the worst verdict of the rules that block."""
    return combine(finding.verdict for finding in findings if finding.severity == "block")


def no_evidence(rule: str, sentence: str, cases: Iterable[str] = ()) -> Finding:
    """Return a finding that there is nothing to judge, which never counts as good."""
    return Finding(rule=rule, verdict=GateVerdict.NO_EVIDENCE, sentence=sentence, cases=tuple(cases))


def join_names(names: Iterable[str], limit: int = 5) -> str:
    """Return some names for a sentence; those beyond `limit` are counted."""
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def find_invalid(context: GateContext) -> Iterator[Finding]:
    """Yield the reasons why nothing can be concluded from a run."""
    suite, name = context.plan.suite, context.plan.name
    if not any(rule.severity == "block" for rule in suite.rules):
        yield no_evidence("rules", f"No rule of this suite blocks; add one in {FILE}")
    # The baseline's records are there for comparison; they say nothing about whether the service was asked.
    records = [record for record in context.records if record.variant == "service"]
    if not records:
        problem = "No evaluator scores an answer" if context.run.trials else "No case was asked"
        yield no_evidence("cases", f"{problem}; add some to evals/cases/, or run the suite")
        return
    trials = {(trial.case, trial.repeat) for trial in context.run.trials if trial.variant == "service"}
    repeats = range(1, max((repeat for _, repeat in trials), default=1) + 1)
    ids = context.plan.case_ids
    if missing := [case for case in ids if any((case, repeat) not in trials for repeat in repeats)]:
        sentence = f"The run is not complete: {len(missing)} of {len(ids)} cases have no answer: {join_names(missing)}"
        yield no_evidence("cases", f"{sentence}; run `chassis evals run {name}` again", missing)
    if altered := context.run.identity.altered:
        sentence = (
            f"The accepted run was altered: its answers do not get the scores that it has for {join_names(altered)}"
        )
        remedy = f"restore evals/accepted/{name}/, or run `chassis evals accept {name}`"
        yield no_evidence("accepted run", f"{sentence}; {remedy}", altered)
    yield from _find_excluded(context, records)


def _find_excluded(context: GateContext, records: Sequence[ScoreRecord]) -> Iterator[Finding]:
    """Yield why too many answers say nothing about the service, if so."""
    suite, name = context.plan.suite, context.plan.name
    # A judge that only warns may fail without spoiling the run.
    blocking = suite.blocking_evaluators
    records = [record for record in records if record.status != "judge_error" or record.evaluator in blocking]
    excluded = [record for record in records if record.status not in COUNTED]
    if unrecorded := sorted({record.case for record in excluded if record.error == NOT_RECORDED}):
        asked = " or ".join(context.run.identity.models)
        sentence = f"No reply of {asked} to the current prompt is recorded for {join_names(unrecorded)}"
        remedy = f"run `chassis evals record {name}` where the models can be asked"
        yield no_evidence("recording", f"{sentence}; {remedy}", unrecorded)
    elif shares := _excessive_shares(records, suite.max_excluded):
        errors = Counter(record.error for record in excluded)
        counts = ", ".join(f"{count} × {error}" for error, count in errors.items())
        sentence = f"{max(shares):.1%} of the answers say nothing about the service ({counts})"
        limit = f"at most {suite.max_excluded:.0%} may"
        yield no_evidence("exclusions", f"{sentence}; {limit}", {record.case for record in excluded})
    elif suite.kind == "live" and not any(record.is_by_model for record in records):
        answered = Counter(record.answered_by or "nobody" for record in distinct_trials(records))
        counts = ", ".join(f"{count} answered by {source}" for source, count in answered.items())
        sentence = f"No model answered in this live suite ({counts}), so it shows nothing about the models"
        yield no_evidence("models", f"{sentence}; see the reasons in var/evals/log.jsonl")


def _excessive_shares(records: Sequence[ScoreRecord], limit: float) -> list[float]:
    """Return the share of excluded records of each evaluator that is over the limit."""
    # Counted for each evaluator: the records of one do not make up for those that another lost.
    asked = Counter(record.evaluator for record in records)
    lost = Counter(record.evaluator for record in records if record.status not in COUNTED)
    return [lost[name] / count for name, count in asked.items() if lost[name] > limit * count]
