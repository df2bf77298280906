"""The comparison with the accepted run: which cases changed, and whether the answers got worse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chassis_tools.evals.case_scores import (
    CaseScores,
    comparable_cases,
    failure_note,
    mean_change,
    records_of,
    score_changes,
    scores_of,
)
from chassis_tools.evals.gate_result import Finding, GateContext, GateVerdict, join_names, no_evidence
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.records import ScoreRecord, SuiteRun
from chassis_tools.evals.statistics import Interval, holm, sign_flip
from chassis_tools.evals.suites import RegressionRule

MIN_DROP = 0.01
"""A drop of less than one point does not fail a run, however certain it is."""
MIN_SLICE_CASES = 30
"""Smaller slices are reported, but not judged on their own."""
MAX_NAMED_CASES = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """The scores of one evaluator in two runs.

    Args:
        before: Those of the accepted run.
        after: Those of the run.
        cases: The cases that both have unchanged.
        edited: The cases whose question or expectation was edited in between.
        crashed: The cases whose call failed, which it did not in the accepted run.
    """

    before: CaseScores
    after: CaseScores
    cases: Sequence[str]
    edited: Sequence[str]
    crashed: Sequence[str]

    @classmethod
    def of(cls, evaluator: str, accepted: Sequence[ScoreRecord], records: Sequence[ScoreRecord]) -> "Comparison":
        """Compare the scores of one evaluator."""
        before, after = scores_of(accepted, evaluator), scores_of(records, evaluator)
        cases = comparable_cases(before, after)
        failed_before = {record.case for record in records_of(accepted, evaluator) if record.status == "failed"}
        failed = {record.case for record in records_of(records, evaluator) if record.status == "failed"}
        edited = sorted((before.keys() & after.keys()) - set(cases))
        return cls(before, after, cases, edited, sorted((failed - failed_before) & before.keys()))

    @property
    def worse(self) -> tuple[str, ...]:
        """Return the cases that speak for a regression.

        A crash counts even if the answer was wrong before, and so does an edited case that passed before and fails
        now: else a full stop after its question would hide a broken answer.
        """
        lower = [case for case in self.cases if self.after[case].mean < self.before[case].mean]
        failing = [case for case in self.edited if self.before[case].mean == 1 and self.after[case].mean == 0]
        return tuple(dict.fromkeys([*lower, *failing, *self.crashed]))

    @property
    def better(self) -> tuple[str, ...]:
        """Return the cases that got better."""
        return tuple(case for case in self.cases if self.after[case].mean > self.before[case].mean)


def gate_context(plan: Plan, run: SuiteRun) -> GateContext:
    """Return what the rules read, with the run to compare with.

    That is the accepted run of the base commit if one is named and can be compared, else that of the checkout.
    """
    base = plan.base_accepted
    if base is None:
        return GateContext(plan, run, plan.accepted)
    evaluators = [rule.evaluator for rule in plan.suite.rules if isinstance(rule, RegressionRule)]
    problems = (why_incomparable(evaluator, base, run) for evaluator in evaluators)
    problem = next((problem for problem in problems if problem), None)
    return GateContext(plan, run, plan.accepted, problem) if problem else GateContext(plan, run, base)


def check_cases(context: GateContext) -> Iterator[Finding]:
    """Yield which cases are not those of the accepted run. If too many were edited, nothing can be compared."""
    rules = [rule for rule in context.plan.suite.rules if isinstance(rule, RegressionRule)]
    if not rules or not context.accepted:
        return
    if context.why_not_base:
        base, problem = context.plan.base, context.why_not_base
        sentence = f"Compared with the run that this change itself accepts, not with that of {base}: {problem}"
        yield Finding(rule="accepted run", verdict=GateVerdict.PASS, sentence=sentence, severity="warn")
    before, after = (_case_hashes(records) for records in (context.accepted, context.records))
    edited = sorted(case for case in before.keys() & after.keys() if before[case] != after[case])
    if added := sorted(after.keys() - before.keys()):
        sentence = f"{len(added)} cases are not in the accepted run: {join_names(added, MAX_NAMED_CASES)}"
        yield Finding(
            rule="new cases", verdict=GateVerdict.PASS, sentence=sentence, severity="warn", cases=tuple(added)
        )
    if not edited:
        return
    named = join_names(edited, MAX_NAMED_CASES)
    sentence = f"{len(edited)} of {len(before)} cases were edited since the accepted run: {named}"
    if len(edited) <= max(1, context.plan.suite.max_edited * len(before)):
        yield Finding(
            rule="edited cases", verdict=GateVerdict.PASS, sentence=sentence, severity="warn", cases=tuple(edited)
        )
    else:
        limit = f"at most {context.plan.suite.max_edited:.0%} may; {_accept(context)}"
        yield no_evidence("edited cases", f"{sentence}; {limit}", edited)


def check_regression(rule: RegressionRule, context: GateContext) -> Finding:
    """Check that the answers are no worse: in any case of a replay, and with confidence where models vary."""
    finding = _compare(rule, context)
    accepted, reason = context.plan.accepted_here
    if finding.verdict is GateVerdict.FAIL and reason and accepted.issuperset(finding.cases):
        sentence = f"{finding.sentence}; accepted in this change: {reason}"
        return replace(finding, verdict=GateVerdict.PASS, sentence=sentence)
    return finding


def _compare(rule: RegressionRule, context: GateContext) -> Finding:
    name = f"regression {rule.evaluator}"
    compared = Comparison.of(rule.evaluator, context.accepted, context.records)
    problem = why_incomparable(rule.evaluator, context.accepted_run, context.run)
    if problem:
        return no_evidence(name, f"{problem}; {_accept(context)}")
    if unknown := [tag for tag in rule.slices if not _tagged(tag, compared.after, list(compared.after))]:
        return no_evidence(name, f"No case is tagged {join_names(unknown)}; correct the slices of this rule")
    failures = failure_note(context.records, rule.evaluator)
    if context.is_exact:
        return _exact_finding(name, compared, failures)
    change = mean_change(compared.before, compared.after, compared.cases, context.alpha)
    max_drop = context.plan.constraints.quality.max_regression if rule.max_drop is None else rule.max_drop
    worse_slices = _worse_slices(rule, compared, context.alpha)
    sentence = f"{_interval(change)} points on {len(compared.cases)} cases × {context.repeats}"
    sentence += f"; the largest allowed drop is {100 * max_drop:g} points"
    return Finding(
        rule=name,
        verdict=GateVerdict.FAIL if worse_slices else decide_regression(change, max_drop),
        sentence=sentence + _slices_note(rule, worse_slices, compared) + failures,
        interval=change,
        limit=-max_drop,
        cases=compared.worse,
    )


def decide_regression(change: Interval, max_drop: float) -> GateVerdict:
    """Return whether a change is proven to be a drop, proven to be small enough, or neither."""
    if change.high < 0 and change.value <= -MIN_DROP:
        return GateVerdict.FAIL
    return GateVerdict.PASS if change.low > -max_drop else GateVerdict.INCONCLUSIVE


def why_incomparable(evaluator: str, accepted: SuiteRun, run: SuiteRun) -> str | None:
    """Return why the scores of two runs cannot be compared, or None if they can."""
    before, after = scores_of(accepted.records, evaluator), scores_of(run.records, evaluator)
    if not before:
        return "No run of this suite has been accepted yet"
    if not after:
        return "No case has a score"
    # A case that an outage excluded was asked; a case that was not asked has been removed.
    asked = {record.case for record in records_of(run.records, evaluator)}
    if missing := sorted(set(before) - asked):
        return f"The accepted run has cases that this run has not: {join_names(missing)}"
    evaluators = {score.record.evaluator_hash for scores in (before, after) for score in scores.values()}
    if len(evaluators) > 1:
        return "The evaluator has changed since the accepted run"
    if not comparable_cases(before, after):
        return "Every case has changed since the accepted run"
    return None


def _accept(context: GateContext) -> str:
    return f"run `chassis evals accept {context.plan.name}` if that is intended"


def _case_hashes(records: Sequence[ScoreRecord]) -> dict[str, str]:
    return {record.case: record.case_hash for record in records if record.variant == "service"}


def _exact_finding(name: str, compared: Comparison, failures: str) -> Finding:
    worse, count = compared.worse, len(set(compared.cases).union(compared.worse))
    if not worse:
        sentence = f"None of {count} cases got worse, {len(compared.better)} got better"
        return Finding(rule=name, verdict=GateVerdict.PASS, sentence=sentence)
    sentence = f"{len(worse)} of {count} cases got worse, {len(compared.better)} better: {join_names(worse)}"
    if edited := [case for case in worse if case in compared.edited]:
        sentence += f"; edited since the accepted run: {join_names(edited)}"
    return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=sentence + failures, cases=worse)


def _worse_slices(rule: RegressionRule, compared: Comparison, alpha: float) -> list[str]:
    """Return the declared slices that dropped, corrected for the number of slices that were tested."""
    before, after = compared.before, compared.after
    tagged = {tag: _tagged(tag, after, compared.cases) for tag in rule.slices}
    slices = {tag: members for tag, members in tagged.items() if len(members) >= MIN_SLICE_CASES}
    p_values = holm([sign_flip(score_changes(before, after, members)) for members in slices.values()])
    drops = [sum(before[case].mean - after[case].mean for case in cases) / len(cases) for cases in slices.values()]
    tests = zip(slices, p_values, drops, strict=True)
    return [tag for tag, p_value, drop in tests if p_value <= alpha and drop >= MIN_DROP]


def _slices_note(rule: RegressionRule, worse: Sequence[str], compared: Comparison) -> str:
    note = f"; proven to be worse where tagged {join_names(worse)}" if worse else ""
    small = [tag for tag in rule.slices if len(_tagged(tag, compared.after, compared.cases)) < MIN_SLICE_CASES]
    if small:
        note += f"; too small to be judged on their own, with fewer than {MIN_SLICE_CASES} cases: {join_names(small)}"
    return note


def _tagged(tag: str, scores: CaseScores, cases: Sequence[str]) -> list[str]:
    return [case for case in cases if tag in scores[case].record.tags]


def _interval(change: Interval) -> str:
    return f"{100 * change.value:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
