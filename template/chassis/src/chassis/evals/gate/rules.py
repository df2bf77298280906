"""The rules that look at one run alone: floor, never, must-pass, latency, cost."""

from chassis.evals.gate.context import Context
from chassis.evals.gate.evidence import answered, rate, scores_of
from chassis.evals.gate.finding import Finding, Verdict, listed, nothing
from chassis.evals.stats.interval import Interval
from chassis.evals.stats.paired import clustered_mean
from chassis.evals.stats.proportions import most_after_none
from chassis.evals.stats.quantiles import quantile_bounds
from chassis.evals.suites import Cost, Floor, Latency, MustPass, Never
from chassis.types import in_usd, nano_usd, show_usd


def floor(rule: Floor, context: Context) -> Finding:
    """Enough of the answers are right; without statistics at the point itself, otherwise beyond doubt."""
    name = f"floor {rule.evaluator}" + (f" of {rule.tag}" if rule.tag else "")
    scores = scores_of(context.records, rule.evaluator, tag=rule.tag)
    if not scores:
        return nothing(name, f"No case has a value of {rule.evaluator!r}")
    limit = context.constraints.quality.accuracy_floor if rule.at_least is None else rule.at_least
    found = rate(scores, context.tail)
    verdict = _at_least(found, limit, exact=context.is_exact)
    said = f"{found.value:.1%} of {len(scores)} cases; the floor is {limit:.1%}"
    if not context.is_exact:
        said = f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}] of {len(scores)} cases; the floor is {limit:.1%}"
    wrong = tuple(case for case, score in scores.items() if score.mean < 1)
    return Finding(rule=name, verdict=verdict, sentence=said, interval=found, limit=limit, cases=wrong)


def never(rule: Never, context: Context) -> Finding:
    """Not once; and it says how little that proves."""
    name = f"never {rule.evaluator}"
    scores = scores_of(context.records, rule.evaluator)
    if not scores:
        return nothing(name, f"No case has a value of {rule.evaluator!r}")
    hit = [case for case, score in scores.items() if min(score.values) < 1]
    count = sum(len(score.values) for score in scores.values())
    if hit:
        said = f"It happened in {len(hit)} of {len(scores)} cases: {listed(hit)}"
        return Finding(rule=name, verdict=Verdict.FAIL, sentence=said, cases=tuple(hit))
    said = f"0 of {count}, which shows only that it happens in less than {most_after_none(count, context.tail):.1%}"
    return Finding(rule=name, verdict=Verdict.PASS, sentence=said)


def must_pass(rule: MustPass, context: Context) -> Finding:
    """The cases that must never go wrong again did not, in any repeat."""
    name = f"must-pass {rule.evaluator}"
    scores = scores_of(context.records, rule.evaluator)
    must = {case: score for case, score in scores.items() if score.record.must_pass}
    if not must:
        return nothing(name, 'No case has "must_pass": true; mark some, or remove the rule')
    failed = [case for case, score in must.items() if min(score.values) < 1]
    said = f"All {len(must)} pass each time" if not failed else f"{len(failed)} of {len(must)} fail: {listed(failed)}"
    verdict = Verdict.FAIL if failed else Verdict.PASS
    return Finding(rule=name, verdict=verdict, sentence=said, cases=tuple(failed))


def latency(rule: Latency, context: Context) -> Finding:
    """The 95th percentile is below the limit, by bounds that assume nothing about how times are spread."""
    times = [trial.seconds for trial in answered(context.records)]
    if not times:
        return nothing("latency", "No answer was timed")
    limit = rule.p95_seconds or context.constraints.latency.p95_seconds
    found = quantile_bounds(times, 0.95, context.tail)
    said = f"p95 is {found.value:.3f} s [{found.low:.3f}, {found.high:.3f}] of {len(times)} answers"
    verdict = _at_most(found, limit, exact=False)
    said += f"; the limit is {limit:g} s"
    return Finding(rule="latency", verdict=verdict, sentence=said, interval=found, limit=limit)


def cost(rule: Cost, context: Context) -> Finding:
    """The mean cost of an answer is below the limit, and has not grown by more than it may."""
    spent = {(trial.case, trial.repeat): trial for trial in answered(context.records)}
    if not spent:
        return nothing("cost", "No answer was paid for")
    limit = context.constraints.cost.mean_usd if rule.mean_usd is None else rule.mean_usd
    by_group: dict[str, list[float]] = {}
    for trial in spent.values():
        by_group.setdefault(trial.group, []).append(in_usd(trial.cost))
    found = clustered_mean(list(by_group.values()), context.tail, least_variance=0)
    verdict = _at_most(found, limit, exact=context.is_exact)
    said = f"{_dollars(found.value)} an answer; the limit is {_dollars(limit)}"
    if rule.max_increase is not None:
        before = [trial for trial in answered(context.accepted) if (trial.case, trial.repeat) in spent]
        if not before:
            return nothing("cost", f"No accepted run to compare with; run `chassis evals accept {context.name}`")
        was = sum(trial.cost for trial in before)
        now = sum(spent[trial.case, trial.repeat].cost for trial in before)
        grown = now > was * (1 + rule.max_increase)
        said += f"; {_dollars(in_usd(was) / len(before))} in the accepted run, {rule.max_increase:.0%} more are allowed"
        verdict = Verdict.FAIL if grown else verdict
    return Finding(rule="cost", verdict=verdict, sentence=said, interval=found, limit=limit)


def _at_least(found: Interval, limit: float, *, exact: bool) -> Verdict:
    if exact:
        return Verdict.PASS if found.value >= limit else Verdict.FAIL
    if found.low >= limit:
        return Verdict.PASS
    return Verdict.FAIL if found.high < limit else Verdict.INCONCLUSIVE


def _at_most(found: Interval, limit: float, *, exact: bool) -> Verdict:
    if exact:
        return Verdict.PASS if found.value <= limit else Verdict.FAIL
    if found.high <= limit:
        return Verdict.PASS
    return Verdict.FAIL if found.low > limit else Verdict.INCONCLUSIVE


def _dollars(amount: float) -> str:
    return show_usd(nano_usd(amount))
