"""Puts together what is told about one suite, from its records and the ruling on them."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from chassis.usd import to_usd
from chassis_tools.evals.gate.context import ALPHA, GateContext
from chassis_tools.evals.gate.scores import (
    COUNTED,
    CaseScores,
    comparable_cases,
    completed_trials,
    distinct_trials,
    mean_change,
    mean_score,
    run_to_run_variance,
    scores_of,
)
from chassis_tools.evals.gate.validity import GateResult
from chassis_tools.evals.records import ScoreRecord, Trial
from chassis_tools.evals.report.report import CaseLine, Change, Duel, Rate, Reach, SuiteReport
from chassis_tools.evals.report.texts import Transcript, answers, questions
from chassis_tools.evals.stats.intervals import Interval, quantile_interval
from chassis_tools.evals.stats.judge_correction import corrected_rate
from chassis_tools.evals.stats.paired import cases_needed, detectable_drop

INTERVAL_ALPHA = 0.025
POWER = 0.8
SATURATED = 0.97
"""From a lower bound above this on, a data set can hardly tell good from better."""


def suite_report(root: Path, context: GateContext, ruling: GateResult, said: Transcript) -> SuiteReport:
    """Return everything that is told about one suite."""
    times = [trial.seconds for trial in completed_trials(context.records)] or [0.0]
    service = [record for record in context.records if record.variant == "service"]
    rates = tuple(_rates(context))
    return SuiteReport(
        name=context.name,
        kind=context.suite.kind,
        verdict=ruling.verdict,
        sentence=ruling.sentence,
        run=context.records[0].run if context.records else "",
        accepted_run=context.accepted[0].run if context.accepted else None,
        repeats=context.repeats,
        excluded=dict(Counter(each.error or "" for each in service if each.status not in COUNTED)),
        outcomes=dict(Counter(_outcome(trial) for trial in said.trials if trial.variant == "service")),
        spent_usd=to_usd(said.cost),
        judges_usd=to_usd(said.cost_of_judges),
        median_seconds=median(times),
        p95_seconds=quantile_interval(times, 0.95, ALPHA).value,
        findings=ruling.findings,
        rates=rates,
        duels=tuple(_duels(context)),
        reach=_reach(context),
        saturated=any(each.now.low > SATURATED for each in rates if each.tag is None),
        cases=tuple(_cases(root, context, said)),
    )


def _rates(context: GateContext) -> list[Rate]:
    found: list[Rate] = []
    for evaluator in context.suite.evaluators:
        tags = sorted({tag for record in context.records if record.evaluator == evaluator for tag in record.tags})
        for tag in (None, *tags):
            now = scores_of(context.records, evaluator, tag=tag)
            before = scores_of(context.accepted, evaluator, tag=tag)
            if now:
                was = mean_score(before, INTERVAL_ALPHA).value if before else None
                found.append(
                    Rate(
                        evaluator=evaluator,
                        tag=tag,
                        cases=len(now),
                        now=mean_score(now, INTERVAL_ALPHA),
                        accepted=was,
                        corrected=None if tag else _corrected(context, evaluator, now),
                    )
                )
    return found


def _corrected(context: GateContext, evaluator: str, now: CaseScores) -> Interval | None:
    calibration = context.calibrations.get(evaluator)
    if evaluator not in context.judges or calibration is None:
        return None
    values = [value for score in now.values() for value in score.values]
    return corrected_rate(round(sum(values)), len(values), calibration.agreement, INTERVAL_ALPHA)


def _duels(context: GateContext) -> list[Duel]:
    """Hold the models against the baseline; without models there is nothing to hold."""
    found: list[Duel] = []
    for evaluator in context.suite.evaluators:
        service = scores_of(context.records, evaluator)
        baseline = scores_of(context.records, evaluator, variant="baseline")
        cases = comparable_cases(baseline, service)
        if cases:
            gain = mean_change(baseline, service, cases, INTERVAL_ALPHA)
            paid = [trial.cost for trial in completed_trials(context.records)]
            mean_usd = to_usd(sum(paid)) / len(paid)
            found.append(
                Duel(
                    evaluator=evaluator,
                    service=sum(service[case].mean for case in cases) / len(cases),
                    baseline=sum(baseline[case].mean for case in cases) / len(cases),
                    gain=gain,
                    usd_per_extra=mean_usd / gain.value if gain.value > 0 else None,
                )
            )
    return found


def _reach(context: GateContext) -> Reach | None:
    evaluator = context.suite.evaluators[0]
    now, before = (scores_of(records, evaluator) for records in (context.records, context.accepted))
    if not now:
        return None
    noise, wanted = run_to_run_variance(now, before), context.constraints.quality.max_regression
    return Reach(
        detectable=detectable_drop(len(now), noise, ALPHA, POWER),
        wanted=wanted,
        needed=cases_needed(wanted, noise, ALPHA, POWER) if wanted else len(now),
    )


def _cases(root: Path, context: GateContext, told: Transcript) -> list[CaseLine]:
    """Return a line for each case; the holdout is only ever looked at as a whole."""
    texts = questions(root)
    said, was = answers(told.trials, "service"), answers(told.accepted, "service")
    baseline, reasons = answers(told.trials, "baseline"), told.reasons()
    by_case: dict[str, list[ScoreRecord]] = {}
    for record in context.records:
        if record.variant == "service" and record.split != "holdout":
            by_case.setdefault(record.case, []).append(record)
    accepted = {name: scores_of(context.accepted, name) for name in context.suite.evaluators}
    now = {name: scores_of(context.records, name) for name in context.suite.evaluators}
    lines: list[CaseLine] = []
    for case, records in by_case.items():
        first, asked = records[0], distinct_trials(records)
        question, expected = texts.get(case, ("", ""))
        values = {name: scores[case].mean for name, scores in now.items() if case in scores}
        old = {name: scores[case].mean for name, scores in accepted.items() if case in scores}
        hashes = {scores[case].record.case_hash for scores in accepted.values() if case in scores}
        bad = next((record for record in records if record.status != "ok"), first)
        lines.append(
            CaseLine(
                id=case,
                tags=first.tags,
                group=first.group,
                must_pass=first.must_pass,
                status=bad.status,
                error=bad.error,
                change=_change(values, old, unchanged=hashes == {first.case_hash}),
                values=values,
                accepted=old,
                seconds=median(trial.seconds for trial in asked),
                usd=to_usd(sum(trial.cost for trial in asked)) / len(asked),
                trace_id=bad.trace_id,
                question=question,
                expected=expected,
                answer=said.get(case, ""),
                accepted_answer=was.get(case, ""),
                baseline_answer=baseline.get(case, ""),
                reasons=reasons.get(case, ""),
            )
        )
    return lines


def _change(now: Mapping[str, float], before: Mapping[str, float], *, unchanged: bool) -> Change:
    if not before:
        return "new"
    if not unchanged:
        return "changed"
    shared = now.keys() & before.keys()
    if any(now[name] < before[name] for name in shared):
        return "worse"
    return "better" if any(now[name] > before[name] for name in shared) else "same"


def _outcome(trial: Trial) -> str:
    match trial.outcome:
        case None:
            return f"failed with {trial.error}"
        case {"answered_by": who}:
            return f"answered by {who}"
        case {"referred": _}:
            return "referred"
        case _:
            return "refused"
