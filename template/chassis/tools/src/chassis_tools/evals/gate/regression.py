"""The rule that compares a run with the one that was accepted."""

from chassis_tools.evals.gate.context import GateContext
from chassis_tools.evals.gate.result import Finding, GateVerdict, join_names, no_evidence
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

LEAST_DROP = 0.01
"""A drop of less than a point is not worth a red light, however certain it is."""
LEAST_SLICE = 30
"""Smaller slices are shown, but not judged."""


def check_regression(rule: RegressionRule, context: GateContext) -> Finding:
    """The answers are no worse: to the case in a replay, and beyond doubt when models vary."""
    name = f"regression {rule.evaluator}"
    before, after = (scores_of(records, rule.evaluator) for records in (context.accepted, context.records))
    if problem := _incomparable(rule, before, after, context) or _unknown(rule, after):
        return no_evidence(name, problem)
    cases = comparable_cases(before, after)
    if context.is_exact:
        return _flips(name, before, after, cases, failure_note(context.records, rule.evaluator))
    found = mean_change(before, after, cases, context.alpha)
    max_drop = context.constraints.quality.max_regression if rule.max_drop is None else rule.max_drop
    worse = _worse(rule, before, after, cases, context.alpha)
    verdict = GateVerdict.FAIL if worse else decide_regression(found, max_drop)
    bounds = f"[{_points(found.low)}, {_points(found.high)}]"
    said = f"{_points(found.value)} {bounds} points on {len(cases)} cases × {context.repeats}"
    said += f"; a drop of {100 * max_drop:g} points is too much"
    if worse:
        said += f"; certainly worse where tagged {join_names(worse)}"
    if small := [tag for tag in rule.slices if len(_tagged(tag, after, cases)) < LEAST_SLICE]:
        said += f"; fewer than {LEAST_SLICE} cases, and so not judged alone, are tagged {join_names(small)}"
    said += failure_note(context.records, rule.evaluator)
    lost = tuple(case for case in cases if after[case].mean < before[case].mean)
    return Finding(rule=name, verdict=verdict, sentence=said, interval=found, limit=-max_drop, cases=lost)


def decide_regression(found: Interval, max_drop: float) -> GateVerdict:
    """Return whether a paired difference is a proven drop, proven to be small enough, or neither."""
    if found.high < 0 and found.value <= -LEAST_DROP:
        return GateVerdict.FAIL
    return GateVerdict.PASS if found.low > -max_drop else GateVerdict.INCONCLUSIVE


def _incomparable(rule: RegressionRule, before: CaseScores, after: CaseScores, context: GateContext) -> str | None:
    accept = f"run `chassis evals accept {context.name}` if that is meant"
    if not before:
        return f"No run of this suite was accepted yet; {accept}"
    if not after:
        return "No case has a value"
    asked = {record.case for record in records_of(context.records, rule.evaluator)}
    if missing := sorted(set(before) - asked):  # unlike those that an outage left out, of which there may be a few
        return f"{len(missing)} cases of the accepted run have no value now: {join_names(missing)}; {accept}"
    evaluators = {score.record.evaluator_hash for scores in (before, after) for score in scores.values()}
    if len(evaluators) > 1:
        return f"The evaluator is another one than in the accepted run; {accept}"
    if not comparable_cases(before, after):
        return f"Every case changed since the accepted run; {accept}"
    return None


def _unknown(rule: RegressionRule, after: CaseScores) -> str | None:
    unknown = [tag for tag in rule.slices if not _tagged(tag, after, list(after))]
    return f"No case is tagged {join_names(unknown)}; mend the slices of this rule" if unknown else None


def _flips(name: str, before: CaseScores, after: CaseScores, cases: list[str], crashed: str) -> Finding:
    lost = tuple(case for case in cases if after[case].mean < before[case].mean)
    gained = sum(after[case].mean > before[case].mean for case in cases)
    if lost:
        said = f"{len(lost)} of {len(cases)} cases got worse, {gained} better: {join_names(lost)}{crashed}"
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=said, cases=lost)
    return Finding(
        rule=name, verdict=GateVerdict.PASS, sentence=f"No case of {len(cases)} got worse, {gained} got better"
    )


def _worse(rule: RegressionRule, before: CaseScores, after: CaseScores, cases: list[str], alpha: float) -> list[str]:
    """Return the declared slices that dropped, after correction for looking at all of them."""
    tagged = {tag: _tagged(tag, after, cases) for tag in rule.slices}
    large = {tag: members for tag, members in tagged.items() if len(members) >= LEAST_SLICE}
    p_values = holm([sign_flip(score_changes(before, after, members)) for members in large.values()])
    drops = [sum(before[case].mean - after[case].mean for case in members) / len(members) for members in large.values()]
    found = zip(large, p_values, drops, strict=True)
    return [tag for tag, p_value, drop in found if p_value <= alpha and drop >= LEAST_DROP]


def _tagged(tag: str, scores: CaseScores, cases: list[str]) -> list[str]:
    return [case for case in cases if tag in scores[case].record.tags]


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
