"""The rules of a suite, each checked against a finished run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from chassis.errors import ConfigError
from chassis.usd import format_usd, nano_usd
from chassis_tools.evals.accepted_run import check_regression
from chassis_tools.evals.case_scores import (
    comparable_cases,
    completed_trials,
    distinct_trials,
    failure_counts,
    failure_note,
    mean_change,
    mean_score,
    records_of,
    scores_of,
)
from chassis_tools.evals.gate_result import Finding, GateContext, GateVerdict, combine, join_names, no_evidence
from chassis_tools.evals.judges import MIN_AGREEMENT
from chassis_tools.evals.records import ScoreRecord
from chassis_tools.evals.statistics import (
    Interval,
    clustered_mean,
    quantile_interval,
    wilson,
    zero_events_bound,
)
from chassis_tools.evals.suites import (
    FILE,
    BaselineRule,
    CostRule,
    FloorRule,
    JudgeRule,
    LatencyRule,
    ModelShareRule,
    MustPassRule,
    NeverRule,
    RegressionRule,
    Rule,
    evaluator_of,
)

type Amounts = dict[str, tuple[str, float]]
"""The group of each case, and an amount such as its cost, averaged over the repeats."""


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
        case ModelShareRule():
            finding = check_model_share(rule, context)
        case BaselineRule():
            finding = check_baseline(rule, context)
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
    # One hit is enough, whatever the statistics: the rule says never.
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
    """Check that the 95th percentile is below the limit, with bounds that hold for any distribution of times.

    The increase over the accepted run is measured by the mean instead, which a few slow answers do not decide.
    """
    seconds = [trial.seconds for trial in completed_trials(context.records)]
    if not seconds:
        return no_evidence("latency", "No answer was timed")
    limit = rule.p95_seconds or context.plan.constraints.latency.p95_seconds
    p95 = quantile_interval(seconds, 0.95, context.alpha)
    sentence = f"p95 is {p95.value:.3f} s [{p95.low:.3f}, {p95.high:.3f}] of {len(seconds)} answers"
    finding = Finding(
        rule="latency",
        verdict=_at_most(p95, limit, exact=False),  # times vary in a replay too
        sentence=f"{sentence}; the limit is {limit:g} s",
        interval=p95,
        limit=limit,
    )
    times = tuple(_amounts(records, lambda trial: trial.seconds) for records in (context.records, context.accepted))
    return _with_increase(finding, rule.max_increase, times, context, lambda mean: f"{mean:.3f} s")


def check_cost(rule: CostRule, context: GateContext) -> Finding:
    """Check that the mean cost of an answer is below the limit, and has not grown by more than it may."""
    costs = _amounts(context.records, lambda trial: trial.cost_usd)
    if not costs:
        return no_evidence("cost", "No answer was completed")
    limit = context.plan.constraints.cost.mean_usd if rule.mean_usd is None else rule.mean_usd
    mean = _mean_amount(costs, context)
    finding = Finding(
        rule="cost",
        verdict=_at_most(mean, limit, exact=context.is_exact),
        sentence=f"{_dollars(mean.value)} per answer; the limit is {_dollars(limit)}",
        interval=mean,
        limit=limit,
    )
    accepted = _amounts(context.accepted, lambda trial: trial.cost_usd)
    return _with_increase(finding, rule.max_increase, (costs, accepted), context, _dollars)


def check_model_share(rule: ModelShareRule, context: GateContext) -> Finding:
    """Check that a model gives enough of the answers, rather than the baseline behind it."""
    answers = [trial for trial in completed_trials(context.records) if trial.answered_by is not None]
    if not answers:
        return no_evidence("model-share", "No question was answered")
    own = sum(trial.is_by_model for trial in answers)
    share = wilson(own, len(answers), context.alpha)
    sentence = f"A model gave {own} of {len(answers)} answers ({share.value:.1%}); at least {rule.at_least:.1%} must be"
    return Finding(
        rule="model-share",
        verdict=_at_least(share, rule.at_least, exact=context.is_exact),
        sentence=sentence,
        interval=share,
        limit=rule.at_least,
        cases=tuple(dict.fromkeys(trial.case for trial in answers if not trial.is_by_model)),
    )


def check_baseline(rule: BaselineRule, context: GateContext) -> Finding:
    """Check that the models are better than the baseline on the questions that they answered themselves."""
    name = f"baseline {rule.evaluator}"
    # Where the baseline stepped in, both sides would be the same answer and hide the difference.
    by_model = {trial.case for trial in distinct_trials(context.records) if trial.is_by_model}
    service, baseline = (
        scores_of((record for record in context.records if record.case in by_model), rule.evaluator, variant)
        for variant in ("service", "baseline")
    )
    cases = comparable_cases(baseline, service)
    if not cases:
        return no_evidence(name, "There is no case that both a model and the baseline answered")
    change = mean_change(baseline, service, cases, context.alpha)
    worse = tuple(case for case in cases if service[case].mean < baseline[case].mean)
    bounds = "" if context.is_exact else f" [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    return Finding(
        rule=name,
        verdict=_at_least(change, rule.at_least, exact=context.is_exact),
        sentence=f"The models are {100 * change.value:+.1f}{bounds} points better than the baseline on the {len(cases)}"
        f" cases that they answered; at least {100 * rule.at_least:+g} are needed",
        interval=change,
        limit=rule.at_least,
        cases=worse,
    )


def check_judge(rule: JudgeRule, context: GateContext) -> Finding:
    """Check that a judge agrees with people's labels."""
    name = f"judge {rule.evaluator}"
    if problem := _calibration_problem(rule.evaluator, context):
        remedy = f"run `chassis evals calibrate {rule.evaluator}` where its model can be asked"
        return no_evidence(name, f"{_capitalized(problem)}; {remedy}")
    if problem := context.plan.calibrations[rule.evaluator].problem(rule.at_least):
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=_capitalized(problem))
    return Finding(
        rule=name, verdict=GateVerdict.PASS, sentence=f"It agrees with people in at least {rule.at_least:.0%}"
    )


def require_calibrated_judge(rule: Rule, context: GateContext) -> None:
    """Refuse a rule that blocks and depends on a judge which is not calibrated.

    Raises:
        ConfigError: The judge was never calibrated, has changed since, or does not agree with people often enough.
    """
    judge = evaluator_of(rule)
    if rule.severity != "block" or isinstance(rule, JudgeRule) or judge is None or judge not in context.plan.judges:
        return
    problem = _calibration_problem(judge, context) or context.plan.calibrations[judge].problem(MIN_AGREEMENT)
    if problem:
        remedy = f'Run `chassis evals calibrate {judge}`, or write severity = "warn"'
        raise ConfigError(f"{FILE}: suites.{context.plan.name}", f"{judge!r} may not block: {problem}", remedy)


def _at_least(measured: Interval, limit: float, *, exact: bool) -> GateVerdict:
    if exact:
        return GateVerdict.PASS if measured.value >= limit else GateVerdict.FAIL
    if measured.low >= limit:
        return GateVerdict.PASS
    # In between, neither is shown: the suite decides by `on_inconclusive`, or asks more repeats.
    return GateVerdict.FAIL if measured.high < limit else GateVerdict.INCONCLUSIVE


def _at_most(measured: Interval, limit: float, *, exact: bool) -> GateVerdict:
    if exact:
        return GateVerdict.PASS if measured.value <= limit else GateVerdict.FAIL
    if measured.high <= limit:
        return GateVerdict.PASS
    return GateVerdict.FAIL if measured.low > limit else GateVerdict.INCONCLUSIVE


def _with_increase(
    finding: Finding,
    max_increase: float | None,
    amounts: tuple[Amounts, ...],
    context: GateContext,
    text: Callable[[float], str],
) -> Finding:
    """Return a finding that also says whether the mean amount grew by more than it may since the accepted run."""
    if max_increase is None:
        return finding
    after, before = amounts
    exact = context.is_exact and finding.rule != "latency"  # times vary in a replay too
    shared = {case: (amount, before[case][1]) for case, amount in after.items() if case in before}
    if not shared:
        remedy = f"run `chassis evals accept {context.plan.name}`"
        return no_evidence(finding.rule, f"There is no accepted run to compare with; {remedy}")
    # Paired by case, so that a change in the mix of cases is not taken for a change of the amount.
    excess = {case: (group, now - then * (1 + max_increase)) for case, ((group, now), then) in shared.items()}
    verdict = combine([finding.verdict, _at_most(_mean_amount(excess, context), 0, exact=exact)])
    mean_before = sum(then for _, then in shared.values()) / len(shared)
    mean_after = sum(now for (_, now), _ in shared.values()) / len(shared)
    increase = f"{text(mean_after)} now and {text(mean_before)} in the accepted run"
    allowed = f"of which an increase of {max_increase:.0%} is allowed"
    return replace(finding, verdict=verdict, sentence=f"{finding.sentence}; on average {increase}, {allowed}")


def _amounts(records: Iterable[ScoreRecord], amount: Callable[[ScoreRecord], float]) -> Amounts:
    by_case: dict[str, list[ScoreRecord]] = {}
    for trial in completed_trials(records):
        by_case.setdefault(trial.case, []).append(trial)
    return {
        case: (trials[0].group, sum(amount(trial) for trial in trials) / len(trials))
        for case, trials in by_case.items()
    }


def _mean_amount(amounts: Mapping[str, tuple[str, float]], context: GateContext) -> Interval:
    by_group: dict[str, list[float]] = {}
    for group, amount in amounts.values():
        by_group.setdefault(group, []).append(amount)
    return clustered_mean(list(by_group.values()), context.alpha, variance_floor=0)


def _capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _dollars(amount: float) -> str:
    return format_usd(nano_usd(amount))


def _calibration_problem(judge: str, context: GateContext) -> str | None:
    """Return why it is unknown how often a judge errs, or None if it is known."""
    plan = context.plan
    if judge not in plan.judges:
        raise ConfigError(f"{FILE}: suites.{plan.name}", f"there is no judge {judge!r}", f"Add [judges.{judge}]")
    calibration = plan.calibrations.get(judge)
    if calibration is None:
        return "the judge was never calibrated"
    # Also of the records: a run may have been judged before the judge was changed.
    versions = {record.evaluator_hash for record in context.records if record.evaluator == judge}
    if versions | {plan.judge_hashes[judge]} != {calibration.judge_hash}:
        return "the judge has changed since it was calibrated"
    return None
