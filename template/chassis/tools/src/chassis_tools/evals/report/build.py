"""Builds the report on one suite from its records, the gate's result and the texts of the run."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from pydantic import JsonValue

from chassis.config.confidence import load_confidence
from chassis.usd import to_usd
from chassis_tools.evals.accepted_run import gate_context
from chassis_tools.evals.case_scores import (
    COUNTED,
    CaseScores,
    answers_by_group,
    comparable_cases,
    completed_trials,
    design_effect,
    distinct_trials,
    mean_change,
    mean_score,
    run_to_run_variance,
    scores_of,
)
from chassis_tools.evals.cases import Dataset, near_duplicates
from chassis_tools.evals.confidence_fit import confidence_data, confidence_problem
from chassis_tools.evals.gate_result import ALPHA, GateContext, GateResult
from chassis_tools.evals.identity import search_hash
from chassis_tools.evals.jsonl import read_json
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.records import Judgement, ScoreRecord, SuiteRun, Trial
from chassis_tools.evals.report.report import (
    MATRIX_FILE,
    BaselineComparison,
    CaseChange,
    CaseResult,
    ConfidenceBin,
    DetectableEffect,
    MatrixCell,
    PassRate,
    SuiteReport,
)
from chassis_tools.evals.statistics import (
    Interval,
    cases_needed,
    corrected_rate,
    detectable_drop,
    quantile_interval,
    wilson,
)

INTERVAL_ALPHA = 0.025
"""Two-sided 95 % confidence intervals; the gate's own bounds are one-sided."""
POWER = 0.8
MAX_BINS, MIN_IN_BIN = 10, 5
"""Of the confidence plot: with fewer answers in a part, its share means little."""
CEILING = 0.97
"""A suite whose lower bound is above this can hardly tell a good version from a better one."""


def build_suite_report(plan: Plan, run: SuiteRun, result: GateResult) -> SuiteReport:
    """Return the report on one suite."""
    context = gate_context(plan, run)
    seconds = [trial.seconds for trial in completed_trials(context.records)] or [0.0]
    records = [record for record in context.records if record.variant == "service"]
    rates = tuple(_pass_rates(context))
    return SuiteReport(
        name=plan.name,
        kind=plan.suite.kind,
        verdict=result.verdict,
        summary=result.sentence,
        run=run.identity,
        accepted_run=context.accepted_run.identity if context.accepted else None,
        evaluators=_evaluator_versions(context),
        history=tuple(plan.accepted.history),
        repeats=context.repeats,
        excluded=dict(Counter(record.error or "" for record in records if record.status not in COUNTED)),
        outcomes=dict(Counter(_outcome(trial) for trial in run.trials if trial.variant == "service")),
        cost_usd=to_usd(run.cost),
        judges_cost_usd=to_usd(run.judges_cost),
        median_seconds=median(seconds),
        p95_seconds=quantile_interval(seconds, 0.95, ALPHA).value,
        findings=result.findings,
        pass_rates=rates,
        baseline_comparisons=tuple(_baseline_comparisons(context)),
        detectable_effect=_detectable_effect(context),
        has_ceiling_effect=any(rate.estimate.low > CEILING for rate in rates if rate.tag is None),
        near_duplicates=tuple(near_duplicates(_inputs(plan))),
        confidence=tuple(_confidence_bins(run)),
        confidence_problem=_confidence_problem(plan, run),
        cases=tuple(_case_results(context, run)),
        matrix=_matrix(plan),
    )


def case_results(plan: Plan, run: SuiteRun) -> list[CaseResult]:
    """Return the result of each case of a run; cases of the holdout split only count in the rates."""
    return list(_case_results(gate_context(plan, run), run))


def _matrix(plan: Plan) -> tuple[MatrixCell, ...]:
    return read_json(plan.folder / MATRIX_FILE, tuple[MatrixCell, ...], "Run `chassis evals matrix` again") or ()


def _evaluator_versions(context: GateContext) -> dict[str, tuple[str, str]]:
    now, accepted = (
        {record.evaluator: record.evaluator_hash for record in records}
        for records in (context.records, context.accepted)
    )
    return {name: (now.get(name, ""), accepted.get(name, "")) for name in context.plan.suite.evaluators}


def _inputs(plan: Plan) -> dict[str, JsonValue]:
    """Return the questions of the suite, as their files have them, by the id of the case."""
    lines = (line for dataset in plan.datasets if dataset.name in plan.suite.cases for _, line in dataset.lines)
    return {case["id"]: case["input"] for case in map(json.loads, lines)}


def _confidence_bins(run: SuiteRun) -> Iterator[ConfidenceBin]:
    """Yield how often answers are right, in up to `MAX_BINS` parts of equal size, by rising confidence."""
    scores: dict[str, list[float]] = {}
    for record in run.records:
        if record.status == "ok" and record.value is not None:
            scores.setdefault(record.call_id, []).append(record.value)
    pairs = sorted(
        (float(str(trial.outcome["confidence"])), min(scores[trial.call_id]) == 1)
        for trial in run.trials
        if trial.variant == "service" and trial.answered_by and trial.outcome and trial.call_id in scores
    )
    bins = min(MAX_BINS, len(pairs) // MIN_IN_BIN)
    for number in range(bins):
        part = pairs[number * len(pairs) // bins : (number + 1) * len(pairs) // bins]
        right = wilson(sum(is_right for _, is_right in part), len(part), INTERVAL_ALPHA)
        mean = sum(confidence for confidence, _ in part) / len(part)
        yield ConfidenceBin(answers=len(part), confidence=mean, right=right)


def _confidence_problem(plan: Plan, run: SuiteRun) -> str | None:
    calibration = load_confidence(plan.project.root)
    code, documents = run.identity.code, run.identity.documents
    hashes = {"code": code, "documents": documents, "search": search_hash(plan.project.root)}
    data = confidence_data(plan.datasets, calibration.cases, plan.constraints, **hashes)
    return confidence_problem(calibration, data)


def _pass_rates(context: GateContext) -> Iterator[PassRate]:
    for evaluator in context.plan.suite.evaluators:
        tags = sorted({tag for record in context.records if record.evaluator == evaluator for tag in record.tags})
        for tag in (None, *tags):
            scores = scores_of(context.records, evaluator, tag=tag)
            accepted = scores_of(context.accepted, evaluator, tag=tag)
            if scores:
                yield PassRate(
                    evaluator=evaluator,
                    tag=tag,
                    cases=len(scores),
                    estimate=mean_score(scores, INTERVAL_ALPHA),
                    accepted=mean_score(accepted, INTERVAL_ALPHA).value if accepted else None,
                    corrected=None if tag else _corrected(context, evaluator, scores),
                )


def _corrected(context: GateContext, evaluator: str, scores: CaseScores) -> Interval | None:
    calibration = context.plan.calibrations.get(evaluator)
    if evaluator not in context.plan.judges or calibration is None:
        return None
    return corrected_rate(answers_by_group(scores), calibration.agreement, INTERVAL_ALPHA)


def _baseline_comparisons(context: GateContext) -> Iterator[BaselineComparison]:
    """Yield a comparison per evaluator; the baseline is only asked apart if models are called."""
    for evaluator in context.plan.suite.evaluators:
        service = scores_of(context.records, evaluator)
        baseline = scores_of(context.records, evaluator, variant="baseline")
        if cases := comparable_cases(baseline, service):
            difference = mean_change(baseline, service, cases, INTERVAL_ALPHA)
            costs = [trial.cost for trial in completed_trials(context.records)]
            mean_usd = to_usd(sum(costs)) / len(costs)
            yield BaselineComparison(
                evaluator=evaluator,
                service=sum(service[case].mean for case in cases) / len(cases),
                baseline=sum(baseline[case].mean for case in cases) / len(cases),
                difference=difference,
                usd_per_additional_pass=mean_usd / difference.value if difference.value > 0 else None,
            )


def _detectable_effect(context: GateContext) -> DetectableEffect | None:
    evaluator = context.plan.suite.evaluators[0]
    scores, accepted = (scores_of(records, evaluator) for records in (context.records, context.accepted))
    if not scores:
        return None
    variance, grouping = run_to_run_variance(scores, accepted), design_effect(scores)
    target = context.plan.constraints.quality.max_regression
    return DetectableEffect(
        smallest_drop=detectable_drop(len(scores), variance, ALPHA, POWER, grouping),
        target_drop=target,
        cases_needed=cases_needed(target, variance, ALPHA, POWER, grouping) if target else len(scores),
    )


def _case_results(context: GateContext, run: SuiteRun) -> Iterator[CaseResult]:
    """Yield the result of each case; cases of the holdout split only count in the rates."""
    scores = {name: scores_of(context.records, name) for name in context.plan.suite.evaluators}
    accepted = {name: scores_of(context.accepted, name) for name in context.plan.suite.evaluators}
    questions, reasons = _questions(context.plan.datasets), _judge_reasons(run)
    asked, baseline = {trial.call_id: trial for trial in run.trials}, _first_answers(run.trials, "baseline")
    accepted_answers = _first_answers(context.accepted_run.trials, "service")
    for case, records in _records_by_case(context.records).items():
        trials = distinct_trials(records)
        # Of several repeats, the one that shows what is wrong.
        problem = min(records, key=lambda record: (record.status == "ok", 1 if record.value is None else record.value))
        trial = asked.get(problem.call_id)
        question, expected = questions.get(case, ("", ""))
        yield CaseResult(
            id=case,
            tags=problem.tags,
            group=problem.group,
            must_pass=problem.must_pass,
            status=problem.status,
            error=problem.error,
            change=_case_change(problem, scores, accepted),
            scores=_means(case, scores),
            accepted_scores=_means(case, accepted),
            seconds=median(trial.seconds for trial in trials),
            usd=to_usd(sum(trial.cost for trial in trials)) / len(trials),
            trace_id=problem.trace_id,
            question=question,
            expected=expected,
            answer=_answer(trial) if trial else "",
            accepted_answer=accepted_answers.get(case, ""),
            baseline_answer=baseline.get(case, ""),
            reasons=_grader_reasons(record for record in records if record.evaluator not in context.plan.judges),
            judge_reasons=reasons.get(case, ""),
            tool_calls=_tool_calls(trial) if trial else "",
        )


def _records_by_case(records: Sequence[ScoreRecord]) -> dict[str, list[ScoreRecord]]:
    by_case: dict[str, list[ScoreRecord]] = {}
    for record in records:
        if record.variant == "service" and record.split != "holdout":
            by_case.setdefault(record.case, []).append(record)
    return by_case


def _means(case: str, scores: Mapping[str, CaseScores]) -> dict[str, float]:
    return {evaluator: of_cases[case].mean for evaluator, of_cases in scores.items() if case in of_cases}


def _case_change(
    record: ScoreRecord, scores: Mapping[str, CaseScores], accepted: Mapping[str, CaseScores]
) -> CaseChange:
    after, before = _means(record.case, scores), _means(record.case, accepted)
    if not before:
        return "new"
    if any(accepted[evaluator][record.case].record.case_hash != record.case_hash for evaluator in before):
        return "edited"
    shared = after.keys() & before.keys()
    if any(after[evaluator] < before[evaluator] for evaluator in shared):
        return "regressed"
    return "improved" if any(after[evaluator] > before[evaluator] for evaluator in shared) else "unchanged"


def _questions(datasets: Iterable[Dataset]) -> dict[str, tuple[str, str]]:
    """Return the question and the expected answer of every case, as its file has them now."""
    cases = (json.loads(line) for dataset in datasets for _, line in dataset.lines)
    return {case["id"]: (_readable(case["input"]), _readable(case["expected"])) for case in cases}


def _first_answers(trials: Sequence[Trial], variant: str) -> dict[str, str]:
    """Return the answer to each case in the first repeat."""
    return {trial.case: _answer(trial) for trial in trials if trial.variant == variant and trial.repeat == 1}


def _answer(trial: Trial) -> str:
    match trial.outcome:
        case None:
            return f"failed with {trial.error}"
        case {"answer": answer, "answered_by": source}:
            return f"{_readable(answer)}\n({source})"
        case {"referred": fallback_reason}:
            return f"referred ({fallback_reason})"
        case outcome:
            return f"refused ({outcome['refused']})"


def _outcome(trial: Trial) -> str:
    match trial.outcome:
        case None:
            return f"failed with {trial.error}"
        case {"answered_by": source}:
            return f"answered by {source}"
        case {"referred": _}:
            return "referred"
        case _:
            return "refused"


def _grader_reasons(records: Iterable[ScoreRecord]) -> str:
    """Return why a case is not right: the first reason that each evaluator gives."""
    reasons: dict[str, str] = {}
    for record in records:
        if record.reason and record.value is not None and record.value < 1:
            reasons.setdefault(record.evaluator, record.reason)
    return "\n".join(f"{evaluator}: {reason}" for evaluator, reason in reasons.items())


def _tool_calls(trial: Trial) -> str:
    return "\n".join(f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})" for call in trial.tool_calls)


def _judge_reasons(run: SuiteRun) -> dict[str, str]:
    """Return the judges' reasons by case, one line for each answer of the service, in the order of the repeats."""
    trials = {trial.call_id: trial for trial in run.trials if trial.variant == "service"}
    lines: dict[str, list[tuple[int, str]]] = {}
    for judgement in run.judgements:
        if trial := trials.get(judgement.call_id):
            lines.setdefault(trial.case, []).append((trial.repeat, _reason(judgement)))
    return {case: "\n".join(line for _, line in sorted(numbered)) for case, numbered in lines.items()}


def _reason(judgement: Judgement) -> str:
    verdict = judgement.error or ("FAIL" if judgement.value == 0 else "PASS")
    return f"{judgement.evaluator}: {verdict}" + (f". {judgement.reason}" if judgement.reason else "")


def _readable(value: JsonValue) -> str:
    """Return JSON as a person would note it down: one `name: value` per line, nested values indented."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        only_text = set(value) == {"text"}
        lines = (_readable(item) if only_text else f"{name}: {_indented(item)}" for name, item in value.items())
        return "\n".join(lines)
    if isinstance(value, list):
        if any(isinstance(item, dict) for item in value):
            return "\n".join(f"- {_readable(item).replace('\n', '\n  ')}" for item in value)
        return ", ".join(_readable(item) for item in value)
    return json.dumps(value)


def _indented(value: JsonValue) -> str:
    text = _readable(value)
    return text if "\n" not in text or isinstance(value, str) else "\n  " + text.replace("\n", "\n  ")
