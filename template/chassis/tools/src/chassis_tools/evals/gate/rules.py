"""The rules of a suite; those that look at one run alone are here: floor, never, must-pass, latency and cost."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from chassis.usd import format_usd, nano_usd, to_usd
from chassis_tools.evals.gate.regression import check_regression
from chassis_tools.evals.gate.result import Finding, GateContext, GateVerdict, combine, join_names, no_evidence
from chassis_tools.evals.gate.scores import (
    completed_trials,
    failure_counts,
    failure_note,
    mean_score,
    records_of,
    scores_of,
)
from chassis_tools.evals.gate.validity import check_judge
from chassis_tools.evals.records import ScoreRecord
from chassis_tools.evals.stats.intervals import Interval, clustered_mean, quantile_interval, zero_events_bound
from chassis_tools.evals.suites import (
    CostRule,
    FloorRule,
    JudgeRule,
    LatencyRule,
    MustPassRule,
    NeverRule,
    RegressionRule,
    Rule,
)


def check_rule(rule: Rule, context: GateContext) -> Finding:
    """Return what one rule says about a run."""
    finding: Finding
    match rule:
        case FloorRule():
            finding = check_floor(rule, context)
        case RegressionRule():
            finding = check_regression(rule, context)
        case NeverRule():
            finding = check_never(rule, context)
        case MustPassRule():
            finding = check_must_pass(rule, context)
        case LatencyRule():
            finding = check_latency(rule, context)
        case CostRule():
            finding = check_cost(rule, context)
        case JudgeRule():
            finding = check_judge(rule, context)
    return replace(finding, severity=rule.severity)


def check_floor(rule: FloorRule, context: GateContext) -> Finding:
    """Check that enough answers are right: exactly in a replay, and with confidence where models vary."""
    name = f"floor {rule.evaluator}" + (f" of {rule.tag}" if rule.tag else "")
    scores = scores_of(context.records, rule.evaluator, tag=rule.tag)
    if not scores:
        return no_evidence(name, f"No case has a score from {rule.evaluator!r}")
    limit = context.plan.constraints.quality.accuracy_floor if rule.at_least is None else rule.at_least
    mean = mean_score(scores, context.alpha)
    bounds = "" if context.is_exact else f" [{mean.low:.1%}, {mean.high:.1%}]"
    sentence = f"{mean.value:.1%}{bounds} of {len(scores)} cases; the floor is {limit:.1%}"
    return Finding(
        rule=name,
        verdict=_at_least(mean, limit, exact=context.is_exact),
        sentence=sentence + failure_note(context.records, rule.evaluator),
        interval=mean,
        limit=limit,
        cases=tuple(case for case, score in scores.items() if score.mean < 1),
    )


def check_never(rule: NeverRule, context: GateContext) -> Finding:
    """Check that something did not happen in a single trial."""
    name = f"never {rule.evaluator}"
    scores = scores_of(context.records, rule.evaluator)
    if not scores:
        return no_evidence(name, f"No case has a score from {rule.evaluator!r}")
    scored = [record for record in records_of(context.records, rule.evaluator) if record.value is not None]
    hits = list(dict.fromkeys(record.case for record in scored if record.status == "ok" and record.value != 1))
    # A crash shows neither that it happened nor that it did not.
    failed = list(dict.fromkeys(record.case for record in scored if record.status != "ok" and record.case not in hits))
    if not hits and not failed:
        bound = zero_events_bound(len(scored), context.alpha)
        sentence = f"0 of {len(scored)} trials, which only shows that it happens in fewer than {bound:.1%}"
        return Finding(rule=name, verdict=GateVerdict.PASS, sentence=sentence)
    sentences: list[str] = []
    if hits:
        sentences.append(f"It happened in {len(hits)} of {len(scores)} cases: {join_names(hits)}")
    if failed:
        errors = failure_counts(context.records, rule.evaluator)
        sentences.append(f"The service failed in {len(failed)} of {len(scores)} with {errors}: {join_names(failed)}")
    return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=". ".join(sentences), cases=(*hits, *failed))


def check_must_pass(rule: MustPassRule, context: GateContext) -> Finding:
    """Check that the cases marked `must_pass` passed in every repeat."""
    name = f"must-pass {rule.evaluator}"
    scores = scores_of(context.records, rule.evaluator)
    marked = (record.case for record in records_of(context.records, rule.evaluator) if record.must_pass)
    cases = list(dict.fromkeys(marked))
    if not cases:
        return no_evidence(name, 'No case has "must_pass": true; mark some, or remove the rule')
    failed = tuple(case for case in cases if case in scores and min(scores[case].values) < 1)
    if failed:
        sentence = f"{len(failed)} of {len(cases)} cases fail: {join_names(failed)}"
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=sentence, cases=failed)
    if missing := [case for case in cases if case not in scores]:
        return no_evidence(name, f"{len(missing)} of {len(cases)} cases have no score: {join_names(missing)}", missing)
    return Finding(rule=name, verdict=GateVerdict.PASS, sentence=f"All {len(cases)} cases pass in every repeat")


def check_latency(rule: LatencyRule, context: GateContext) -> Finding:
    """Check that the 95th percentile is below the limit, with bounds that hold for any distribution of times."""
    seconds = [trial.seconds for trial in completed_trials(context.records)]
    if not seconds:
        return no_evidence("latency", "No answer was timed")
    limit = rule.p95_seconds or context.plan.constraints.latency.p95_seconds
    p95 = quantile_interval(seconds, 0.95, context.alpha)
    sentence = f"p95 is {p95.value:.3f} s [{p95.low:.3f}, {p95.high:.3f}] of {len(seconds)} answers"
    return Finding(
        rule="latency",
        verdict=_at_most(p95, limit, exact=False),  # times vary in a replay too
        sentence=f"{sentence}; the limit is {limit:g} s",
        interval=p95,
        limit=limit,
    )


def check_cost(rule: CostRule, context: GateContext) -> Finding:
    """Check that the mean cost of an answer is below the limit, and has not grown by more than it may."""
    costs = _costs(context.records)
    if not costs:
        return no_evidence("cost", "No answer was completed")
    limit = context.plan.constraints.cost.mean_usd if rule.mean_usd is None else rule.mean_usd
    mean = _mean_cost({case: usd for case, (_, usd) in costs.items()}, costs, context)
    verdict = _at_most(mean, limit, exact=context.is_exact)
    sentence = f"{_dollars(mean.value)} per answer; the limit is {_dollars(limit)}"
    if rule.max_increase is not None:
        accepted = {case: usd for case, (_, usd) in _costs(context.accepted).items() if case in costs}
        if not accepted:
            remedy = f"run `chassis evals accept {context.plan.name}`"
            return no_evidence("cost", f"There is no accepted run to compare with; {remedy}")
        # Paired by case, so that a change in the mix of cases is not taken for a change of cost.
        excess = {case: costs[case][1] - usd * (1 + rule.max_increase) for case, usd in accepted.items()}
        verdict = combine([verdict, _at_most(_mean_cost(excess, costs, context), 0, exact=context.is_exact)])
        before = _dollars(sum(accepted.values()) / len(accepted))
        sentence += f"; {before} in the accepted run, of which an increase of {rule.max_increase:.0%} is allowed"
    return Finding(rule="cost", verdict=verdict, sentence=sentence, interval=mean, limit=limit)


type CaseCosts = dict[str, tuple[str, float]]
"""The group of each case, and its cost in US dollars, averaged over the repeats."""


def _costs(records: Iterable[ScoreRecord]) -> CaseCosts:
    by_case: dict[str, list[ScoreRecord]] = {}
    for trial in completed_trials(records):
        by_case.setdefault(trial.case, []).append(trial)
    return {
        case: (trials[0].group, to_usd(sum(trial.cost for trial in trials)) / len(trials))
        for case, trials in by_case.items()
    }


def _mean_cost(amounts: Mapping[str, float], costs: CaseCosts, context: GateContext) -> Interval:
    by_group: dict[str, list[float]] = {}
    for case, amount in amounts.items():
        by_group.setdefault(costs[case][0], []).append(amount)
    return clustered_mean(list(by_group.values()), context.alpha, variance_floor=0)


def _at_least(measured: Interval, limit: float, *, exact: bool) -> GateVerdict:
    if exact:
        return GateVerdict.PASS if measured.value >= limit else GateVerdict.FAIL
    if measured.low >= limit:
        return GateVerdict.PASS
    return GateVerdict.FAIL if measured.high < limit else GateVerdict.INCONCLUSIVE


def _at_most(measured: Interval, limit: float, *, exact: bool) -> GateVerdict:
    if exact:
        return GateVerdict.PASS if measured.value <= limit else GateVerdict.FAIL
    if measured.high <= limit:
        return GateVerdict.PASS
    return GateVerdict.FAIL if measured.low > limit else GateVerdict.INCONCLUSIVE


def _dollars(amount: float) -> str:
    return format_usd(nano_usd(amount))
