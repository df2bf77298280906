"""The rule that compares a run with the accepted one, case by case."""

from collections.abc import Sequence

from chassis_tools.evals.gate.result import Finding, GateContext, GateVerdict, join_names, no_evidence
from chassis_tools.evals.gate.scores import (
    CaseScores,
    comparable_cases,
    failure_note,
    mean_change,
    records_of,
    score_changes,
    scores_of,
)
from chassis_tools.evals.stats.intervals import Interval
from chassis_tools.evals.stats.paired import holm, sign_flip
from chassis_tools.evals.suites import RegressionRule

MIN_DROP = 0.01
"""A drop of less than one point does not fail a run, however certain it is."""
MIN_SLICE_CASES = 30
"""Smaller slices are reported, but not judged on their own."""


def check_regression(rule: RegressionRule, context: GateContext) -> Finding:
    """Check that the answers are no worse: in any case of a replay, and with confidence where models vary."""
    name = f"regression {rule.evaluator}"
    before, after = (scores_of(records, rule.evaluator) for records in (context.accepted, context.records))
    problem = _why_incomparable(rule, before, after, context) or _unknown_slices(rule, after)
    if problem:
        return no_evidence(name, problem)
    cases = comparable_cases(before, after)
    worse = tuple(case for case in cases if after[case].mean < before[case].mean)
    failures = failure_note(context.records, rule.evaluator)
    if context.is_exact:
        better = sum(after[case].mean > before[case].mean for case in cases)
        return _exact_finding(name, worse, better, len(cases), failures)
    change = mean_change(before, after, cases, context.alpha)
    max_drop = context.plan.constraints.quality.max_regression if rule.max_drop is None else rule.max_drop
    worse_slices = _worse_slices(rule, before, after, cases, context.alpha)
    sentence = f"{_interval(change)} points on {len(cases)} cases × {context.repeats}"
    sentence += f"; the largest allowed drop is {100 * max_drop:g} points"
    return Finding(
        rule=name,
        verdict=GateVerdict.FAIL if worse_slices else decide_regression(change, max_drop),
        sentence=sentence + _slices_note(rule, worse_slices, after, cases) + failures,
        interval=change,
        limit=-max_drop,
        cases=worse,
    )


def decide_regression(change: Interval, max_drop: float) -> GateVerdict:
    """Return whether a change is proven to be a drop, proven to be small enough, or neither."""
    if change.high < 0 and change.value <= -MIN_DROP:
        return GateVerdict.FAIL
    return GateVerdict.PASS if change.low > -max_drop else GateVerdict.INCONCLUSIVE


def _exact_finding(name: str, worse: tuple[str, ...], better: int, count: int, failures: str) -> Finding:
    if not worse:
        sentence = f"None of {count} cases got worse, {better} got better"
        return Finding(rule=name, verdict=GateVerdict.PASS, sentence=sentence)
    sentence = f"{len(worse)} of {count} cases got worse, {better} better: {join_names(worse)}{failures}"
    return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=sentence, cases=worse)


def _why_incomparable(rule: RegressionRule, before: CaseScores, after: CaseScores, context: GateContext) -> str | None:
    accept = f"run `chassis evals accept {context.plan.name}` if that is intended"
    if not before:
        return f"No run of this suite has been accepted yet; {accept}"
    if not after:
        return "No case has a score"
    # A case that an outage excluded was asked; a case that was not asked has been removed.
    asked = {record.case for record in records_of(context.records, rule.evaluator)}
    if missing := sorted(set(before) - asked):
        return f"The accepted run has cases that this run has not: {join_names(missing)}; {accept}"
    evaluators = {score.record.evaluator_hash for scores in (before, after) for score in scores.values()}
    if len(evaluators) > 1:
        return f"The evaluator has changed since the accepted run; {accept}"
    if not comparable_cases(before, after):
        return f"Every case has changed since the accepted run; {accept}"
    return None


def _unknown_slices(rule: RegressionRule, after: CaseScores) -> str | None:
    unknown = [tag for tag in rule.slices if not _tagged(tag, after, list(after))]
    return f"No case is tagged {join_names(unknown)}; correct the slices of this rule" if unknown else None


def _worse_slices(
    rule: RegressionRule, before: CaseScores, after: CaseScores, cases: Sequence[str], alpha: float
) -> list[str]:
    """Return the declared slices that dropped, corrected for the number of slices that were tested."""
    tagged = {tag: _tagged(tag, after, cases) for tag in rule.slices}
    slices = {tag: members for tag, members in tagged.items() if len(members) >= MIN_SLICE_CASES}
    p_values = holm([sign_flip(score_changes(before, after, members)) for members in slices.values()])
    drops = [sum(before[case].mean - after[case].mean for case in cases) / len(cases) for cases in slices.values()]
    tests = zip(slices, p_values, drops, strict=True)
    return [tag for tag, p_value, drop in tests if p_value <= alpha and drop >= MIN_DROP]


def _slices_note(rule: RegressionRule, worse: Sequence[str], after: CaseScores, cases: Sequence[str]) -> str:
    note = f"; proven to be worse where tagged {join_names(worse)}" if worse else ""
    small = [tag for tag in rule.slices if len(_tagged(tag, after, cases)) < MIN_SLICE_CASES]
    if small:
        note += f"; too small to be judged on their own, with fewer than {MIN_SLICE_CASES} cases: {join_names(small)}"
    return note


def _tagged(tag: str, scores: CaseScores, cases: Sequence[str]) -> list[str]:
    return [case for case in cases if tag in scores[case].record.tags]


def _interval(change: Interval) -> str:
    return f"{100 * change.value:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
