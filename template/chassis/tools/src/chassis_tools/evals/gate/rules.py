"""The rules that look at one run alone: floor, never, must-pass, latency, cost."""

from collections.abc import Iterable, Mapping

from chassis.usd import format_usd, nano_usd, to_usd
from chassis_tools.evals.gate.context import GateContext
from chassis_tools.evals.gate.result import Finding, GateVerdict, combine, join_names, no_evidence
from chassis_tools.evals.gate.scores import (
    completed_trials,
    failure_counts,
    failure_note,
    mean_score,
    records_of,
    scores_of,
)
from chassis_tools.evals.records import ScoreRecord
from chassis_tools.evals.stats.intervals import Interval, clustered_mean, quantile_interval, zero_events_bound
from chassis_tools.evals.suites import CostRule, FloorRule, LatencyRule, MustPassRule, NeverRule


def check_floor(rule: FloorRule, context: GateContext) -> Finding:
    """Enough of the answers are right; without statistics at the point itself, otherwise beyond doubt."""
    name = f"floor {rule.evaluator}" + (f" of {rule.tag}" if rule.tag else "")
    scores = scores_of(context.records, rule.evaluator, tag=rule.tag)
    if not scores:
        return no_evidence(name, f"No case has a value of {rule.evaluator!r}")
    limit = context.constraints.quality.accuracy_floor if rule.at_least is None else rule.at_least
    found = mean_score(scores, context.alpha)
    verdict = _at_least(found, limit, exact=context.is_exact)
    said = f"{found.value:.1%} of {len(scores)} cases; the floor is {limit:.1%}"
    if not context.is_exact:
        said = f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}] of {len(scores)} cases; the floor is {limit:.1%}"
    said += failure_note(context.records, rule.evaluator)
    wrong = tuple(case for case, score in scores.items() if score.mean < 1)
    return Finding(rule=name, verdict=verdict, sentence=said, interval=found, limit=limit, cases=wrong)


def check_never(rule: NeverRule, context: GateContext) -> Finding:
    """Not once; and it says how little that proves."""
    name = f"never {rule.evaluator}"
    scores = scores_of(context.records, rule.evaluator)
    if not scores:
        return no_evidence(name, f"No case has a value of {rule.evaluator!r}")
    marks = [record for record in records_of(context.records, rule.evaluator) if record.value is not None]
    seen = list(dict.fromkeys(record.case for record in marks if record.status == "ok" and record.value != 1))
    failed = list(dict.fromkeys(record.case for record in marks if record.status != "ok" and record.case not in seen))
    if seen or failed:
        said = [f"It happened in {len(seen)} of {len(scores)} cases: {join_names(seen)}"] * bool(seen)
        if failed:
            errors = failure_counts(context.records, rule.evaluator)
            said.append(f"The service failed in {len(failed)} with {errors}, which shows nothing: {join_names(failed)}")
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=". ".join(said), cases=(*seen, *failed))
    proven = zero_events_bound(len(marks), context.alpha)
    said = f"0 of {len(marks)}, which shows only that it happens in less than {proven:.1%}"
    return Finding(rule=name, verdict=GateVerdict.PASS, sentence=said)


def check_must_pass(rule: MustPassRule, context: GateContext) -> Finding:
    """The cases that must never go wrong again did not, in any repeat."""
    name = f"must-pass {rule.evaluator}"
    scores = scores_of(context.records, rule.evaluator)
    must = list(dict.fromkeys(each.case for each in records_of(context.records, rule.evaluator) if each.must_pass))
    if not must:
        return no_evidence(name, 'No case has "must_pass": true; mark some, or remove the rule')
    failed = tuple(case for case in must if case in scores and min(scores[case].values) < 1)
    if failed:
        said = f"{len(failed)} of {len(must)} fail: {join_names(failed)}"
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=said, cases=failed)
    if unseen := [case for case in must if case not in scores]:
        return no_evidence(name, f"{len(unseen)} of {len(must)} have no value: {join_names(unseen)}", unseen)
    return Finding(rule=name, verdict=GateVerdict.PASS, sentence=f"All {len(must)} pass each time")


def check_latency(rule: LatencyRule, context: GateContext) -> Finding:
    """The 95th percentile is below the limit, by bounds that assume nothing about how times are spread."""
    times = [trial.seconds for trial in completed_trials(context.records)]
    if not times:
        return no_evidence("latency", "No answer was timed")
    limit = rule.p95_seconds or context.constraints.latency.p95_seconds
    found = quantile_interval(times, 0.95, context.alpha)
    said = f"p95 is {found.value:.3f} s [{found.low:.3f}, {found.high:.3f}] of {len(times)} answers"
    verdict = _at_most(found, limit, exact=False)
    said += f"; the limit is {limit:g} s"
    return Finding(rule="latency", verdict=verdict, sentence=said, interval=found, limit=limit)


def check_cost(rule: CostRule, context: GateContext) -> Finding:
    """The mean cost of an answer is below the limit, and has not grown by more than it may."""
    now = _spent(context.records)
    if not now:
        return no_evidence("cost", "No answer was paid for")
    limit = context.constraints.cost.mean_usd if rule.mean_usd is None else rule.mean_usd
    found = _mean(now, {case: usd for case, (_, usd) in now.items()}, context)
    verdict = _at_most(found, limit, exact=context.is_exact)
    said = f"{_dollars(found.value)} an answer; the limit is {_dollars(limit)}"
    if rule.max_increase is not None:
        before = {case: usd for case, (_, usd) in _spent(context.accepted).items() if case in now}
        if not before:
            return no_evidence("cost", f"No accepted run to compare with; run `chassis evals accept {context.name}`")
        beyond = {case: now[case][1] - usd * (1 + rule.max_increase) for case, usd in before.items()}
        verdict = combine([verdict, _at_most(_mean(now, beyond, context), 0, exact=context.is_exact)])
        was = sum(before.values()) / len(before)
        said += f"; {_dollars(was)} in the accepted run, {rule.max_increase:.0%} more are allowed"
    return Finding(rule="cost", verdict=verdict, sentence=said, interval=found, limit=limit)


type Spent = dict[str, tuple[str, float]]
"""The group of each case, and what it cost in US dollars, on average over its repeats."""


def _spent(records: Iterable[ScoreRecord]) -> Spent:
    by_case: dict[str, list[ScoreRecord]] = {}
    for trial in completed_trials(records):
        by_case.setdefault(trial.case, []).append(trial)
    return {
        case: (trials[0].group, to_usd(sum(trial.cost for trial in trials)) / len(trials))
        for case, trials in by_case.items()
    }


def _mean(spent: Spent, amounts: Mapping[str, float], context: GateContext) -> Interval:
    by_group: dict[str, list[float]] = {}
    for case, amount in amounts.items():
        by_group.setdefault(spent[case][0], []).append(amount)
    return clustered_mean(list(by_group.values()), context.alpha, variance_floor=0)


def _at_least(found: Interval, limit: float, *, exact: bool) -> GateVerdict:
    if exact:
        return GateVerdict.PASS if found.value >= limit else GateVerdict.FAIL
    if found.low >= limit:
        return GateVerdict.PASS
    return GateVerdict.FAIL if found.high < limit else GateVerdict.INCONCLUSIVE


def _at_most(found: Interval, limit: float, *, exact: bool) -> GateVerdict:
    if exact:
        return GateVerdict.PASS if found.value <= limit else GateVerdict.FAIL
    if found.high <= limit:
        return GateVerdict.PASS
    return GateVerdict.FAIL if found.low > limit else GateVerdict.INCONCLUSIVE


def _dollars(amount: float) -> str:
    return format_usd(nano_usd(amount))
