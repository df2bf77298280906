"""The rules of a suite, each checked against a finished run, and whether the run is evidence at all."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from chassis.errors import ConfigError
from chassis.usd import format_usd, nano_usd, to_usd
from chassis_tools.evals.case_scores import (
    COUNTED,
    CaseScores,
    comparable_cases,
    completed_trials,
    failure_counts,
    failure_note,
    mean_change,
    mean_score,
    records_of,
    score_changes,
    scores_of,
)
from chassis_tools.evals.gate_result import Finding, GateContext, GateVerdict, combine, join_names, no_evidence
from chassis_tools.evals.judges import FILE as JUDGES
from chassis_tools.evals.judges import MIN_AGREEMENT
from chassis_tools.evals.records import NOT_RECORDED, ScoreRecord
from chassis_tools.evals.statistics import (
    Interval,
    clustered_mean,
    holm,
    quantile_interval,
    sign_flip,
    zero_events_bound,
)
from chassis_tools.evals.suites import (
    FILE,
    CostRule,
    FloorRule,
    JudgeRule,
    LatencyRule,
    MustPassRule,
    NeverRule,
    RegressionRule,
    Rule,
    evaluator_of,
)

MIN_DROP = 0.01
"""A drop of less than one point does not fail a run, however certain it is."""
MIN_SLICE_CASES = 30
"""Smaller slices are reported, but not judged on their own."""

type CaseCosts = dict[str, tuple[str, float]]
"""The group of each case, and its cost in US dollars, averaged over the repeats."""


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


def check_judge(rule: JudgeRule, context: GateContext) -> Finding:
    """Check that a judge agrees with people's labels."""
    name = f"judge {rule.evaluator}"
    if problem := _calibration_problem(rule.evaluator, context):
        remedy = f"run `chassis evals calibrate {rule.evaluator}` where its model can be asked"
        return no_evidence(name, f"{problem}; {remedy}")
    if problem := context.plan.calibrations[rule.evaluator].problem(rule.at_least):
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=problem)
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


def find_invalid(context: GateContext) -> Iterator[Finding]:
    """Yield what makes the whole run worthless as evidence: no rules, no cases, or too many excluded trials."""
    suite, name = context.plan.suite, context.plan.name
    if not any(rule.severity == "block" for rule in suite.rules):
        yield no_evidence("rules", f"No rule of this suite blocks; add one in {FILE}")
    records = [record for record in context.records if record.variant == "service"]
    if not records:
        yield no_evidence("cases", "No case was asked; add some to evals/cases/, or run the suite")
        return
    # A judge that only warns may fail without spoiling the run.
    blocking = suite.blocking_evaluators
    records = [record for record in records if record.status != "judge_error" or record.evaluator in blocking]
    excluded = [record for record in records if record.status not in COUNTED]
    if unrecorded := sorted({record.case for record in excluded if record.error == NOT_RECORDED}):
        remedy = f"run `chassis evals record {name}` where the models can be asked"
        yield no_evidence("recording", f"No reply is recorded for {join_names(unrecorded)}; {remedy}", unrecorded)
    elif shares := _excessive_shares(records, suite.max_excluded):
        errors = Counter(record.error for record in excluded)
        counts = ", ".join(f"{count} × {error}" for error, count in errors.items())
        sentence = f"{max(shares):.1%} of the answers say nothing about the service ({counts})"
        limit = f"at most {suite.max_excluded:.0%} may"
        yield no_evidence("exclusions", f"{sentence}; {limit}", {record.case for record in excluded})


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


def _dollars(amount: float) -> str:
    return format_usd(nano_usd(amount))


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


def _calibration_problem(judge: str, context: GateContext) -> str | None:
    """Return why it is unknown how often a judge errs, or None if it is known."""
    plan = context.plan
    if judge not in plan.judges:
        raise ConfigError(f"{FILE}: suites.{plan.name}", f"there is no judge {judge!r}", f"Describe it in {JUDGES}")
    calibration = plan.calibrations.get(judge)
    if calibration is None:
        return "the judge was never calibrated"
    versions = {record.evaluator_hash for record in context.records if record.evaluator == judge}
    if versions | {plan.judge_hashes[judge]} != {calibration.judge_hash}:
        return "the judge has changed since it was calibrated"
    return None


def _excessive_shares(records: Sequence[ScoreRecord], limit: float) -> list[float]:
    """Return the share of excluded records of each evaluator that is over the limit."""
    # Counted for each evaluator: the records of one do not make up for those that another lost.
    asked = Counter(record.evaluator for record in records)
    lost = Counter(record.evaluator for record in records if record.status not in COUNTED)
    return [lost[name] / count for name, count in asked.items() if lost[name] > limit * count]
