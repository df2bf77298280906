"""The rule that compares a run with the one that was accepted."""

from chassis_tools.evals.gate.context import Context
from chassis_tools.evals.gate.evidence import Scores, changes, comparable, crashes, difference, said_by, scores_of
from chassis_tools.evals.gate.finding import Finding, Verdict, listed, nothing
from chassis_tools.evals.stats.intervals import Interval
from chassis_tools.evals.stats.paired import holm, sign_flip
from chassis_tools.evals.suites import Regression

LEAST_DROP = 0.01
"""A drop of less than a point is not worth a red light, however certain it is."""
LEAST_SLICE = 30
"""Smaller slices are shown, but not judged."""


def regression(rule: Regression, context: Context) -> Finding:
    """The answers are no worse: to the case in a replay, and beyond doubt when models vary."""
    name = f"regression {rule.evaluator}"
    before, after = (scores_of(records, rule.evaluator) for records in (context.accepted, context.records))
    if problem := _incomparable(rule, before, after, context) or _unknown(rule, after):
        return nothing(name, problem)
    cases = comparable(before, after)
    if context.is_exact:
        return _flips(name, before, after, cases, crashes(context.records, rule.evaluator))
    found = difference(before, after, cases, context.alpha)
    max_drop = context.constraints.quality.max_regression if rule.max_drop is None else rule.max_drop
    worse = _worse(rule, before, after, cases, context.alpha)
    verdict = Verdict.FAIL if worse else decide(found, max_drop)
    bounds = f"[{_points(found.low)}, {_points(found.high)}]"
    said = f"{_points(found.value)} {bounds} points on {len(cases)} cases × {context.repeats}"
    said += f"; a drop of {100 * max_drop:g} points is too much"
    if worse:
        said += f"; certainly worse where tagged {listed(worse)}"
    if small := [tag for tag in rule.slices if len(_tagged(tag, after, cases)) < LEAST_SLICE]:
        said += f"; fewer than {LEAST_SLICE} cases, and so not judged alone, are tagged {listed(small)}"
    said += crashes(context.records, rule.evaluator)
    lost = tuple(case for case in cases if after[case].mean < before[case].mean)
    return Finding(rule=name, verdict=verdict, sentence=said, interval=found, limit=-max_drop, cases=lost)


def decide(found: Interval, max_drop: float) -> Verdict:
    """Return whether a paired difference is a proven drop, proven to be small enough, or neither."""
    if found.high < 0 and found.value <= -LEAST_DROP:
        return Verdict.FAIL
    return Verdict.PASS if found.low > -max_drop else Verdict.INCONCLUSIVE


def _incomparable(rule: Regression, before: Scores, after: Scores, context: Context) -> str | None:
    accept = f"run `chassis evals accept {context.name}` if that is meant"
    if not before:
        return f"No run of this suite was accepted yet; {accept}"
    if not after:
        return "No case has a value"
    asked = {record.case for record in said_by(context.records, rule.evaluator)}
    if missing := sorted(set(before) - asked):  # unlike those that an outage left out, of which there may be a few
        return f"{len(missing)} cases of the accepted run have no value now: {listed(missing)}; {accept}"
    evaluators = {score.record.evaluator_hash for scores in (before, after) for score in scores.values()}
    if len(evaluators) > 1:
        return f"The evaluator is another one than in the accepted run; {accept}"
    if not comparable(before, after):
        return f"Every case changed since the accepted run; {accept}"
    return None


def _unknown(rule: Regression, after: Scores) -> str | None:
    unknown = [tag for tag in rule.slices if not _tagged(tag, after, list(after))]
    return f"No case is tagged {listed(unknown)}; mend the slices of this rule" if unknown else None


def _flips(name: str, before: Scores, after: Scores, cases: list[str], crashed: str) -> Finding:
    lost = tuple(case for case in cases if after[case].mean < before[case].mean)
    gained = sum(after[case].mean > before[case].mean for case in cases)
    if lost:
        said = f"{len(lost)} of {len(cases)} cases got worse, {gained} better: {listed(lost)}{crashed}"
        return Finding(rule=name, verdict=Verdict.FAIL, sentence=said, cases=lost)
    return Finding(rule=name, verdict=Verdict.PASS, sentence=f"No case of {len(cases)} got worse, {gained} got better")


def _worse(rule: Regression, before: Scores, after: Scores, cases: list[str], alpha: float) -> list[str]:
    """Return the declared slices that dropped, after correction for looking at all of them."""
    tagged = {tag: _tagged(tag, after, cases) for tag in rule.slices}
    large = {tag: members for tag, members in tagged.items() if len(members) >= LEAST_SLICE}
    p_values = holm([sign_flip(changes(before, after, members)) for members in large.values()])
    drops = [sum(before[case].mean - after[case].mean for case in members) / len(members) for members in large.values()]
    found = zip(large, p_values, drops, strict=True)
    return [tag for tag, p_value, drop in found if p_value <= alpha and drop >= LEAST_DROP]


def _tagged(tag: str, scores: Scores, cases: list[str]) -> list[str]:
    return [case for case in cases if tag in scores[case].record.tags]


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
