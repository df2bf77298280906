"""`chassis evals compare`, `power`, `search`, `floors`, `calibrate-confidence`, `matrix`: no verdicts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.config.project import find_project

if TYPE_CHECKING:
    from chassis_tools.evals.case_scores import CaseScores
    from chassis_tools.evals.confidence_floors import FloorEffect, GradedAnswer
    from chassis_tools.evals.plan import Plan
    from chassis_tools.evals.records import ScoreRecord

MEANS = {"cost_usd": ("mean cost, $", 6), "seconds": ("mean latency, s", 3)}
"""What `compare` compares besides scores, each with its title and its decimals."""
POWERS = (0.5, 0.8, 0.95)
"""The shares of runs in which a drop is found, from the weakest to the strongest."""
RANKING_COLUMNS = ("hit@1", "hit@5", "MRR", "won", "lost", "AUROC", "CPU ms")
RANKING_LEGEND = "half: believe the one held out; won, lost: right first in this search only, or in the lexical only"
CALIBRATION_COLUMNS = ("ECE", "fitted", "smooth", "chance", "ideal")
CALIBRATION_LEGEND = """ECE: calibration error of the confidence; fitted: what fits to 100 questions leave of it; \
smooth: the same without bins; chance: what a perfect confidence would leave; ideal: what the best fit would leave"""

SuiteName = Annotated[str, typer.Argument(help="A suite of evals/suites.toml")]
Grader = Annotated[
    str | None, typer.Option("--evaluator", help="The grader that decides; the first of the suite by default")
]


def compare_runs(
    before: Annotated[Path, typer.Argument(help="A folder with a records.jsonl", exists=True)],
    after: Annotated[Path, typer.Argument(help="Another one", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Compare two runs of the same cases: scores, cost and latency."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.case_scores import comparable_cases, scores_of

    runs = _read_records(before), _read_records(after)
    versions: list[dict[str, str]] = [{each.evaluator: each.evaluator_hash for each in run} for run in runs]
    comparisons: dict[str, _Comparison] = {}
    for evaluator in sorted(versions[0].keys() & versions[1].keys()):
        old, new = (scores_of(run, evaluator) for run in runs)
        if cases := comparable_cases(old, new):
            comparisons[evaluator] = _compare(old, new, cases)
    if not comparisons:
        problem = "they have no case with the same question, expected answer and evaluator"
        raise ConfigError(f"{before} and {after}", problem, "Name two runs of one suite")
    changed = sorted(name for name, version in versions[0].items() if versions[1].get(name, version) != version)
    if as_json:
        print_json({"evaluators": comparisons, "changed_evaluators": changed, "means": _spent(*runs)})
        return
    table = Table("evaluator", "cases", "before", "after", "change, 95 % interval", "worse", "better")
    for evaluator, comparison in comparisons.items():
        table.add_row(evaluator, str(comparison.cases), *_cells(comparison))
    for field, means in _spent(*runs).items():
        name, digits = MEANS[field]
        change = f"{100 * (means.after / means.before - 1):+.1f} %" if means.before else ""
        table.add_row(name, str(means.cases), f"{means.before:.{digits}f}", f"{means.after:.{digits}f}", change, "", "")
    plain_console().print(table)
    if changed:
        print(f"These evaluators have changed, which alone may explain the difference: {', '.join(changed)}")


def show_power(
    suite: Annotated[str, typer.Argument(help="A suite that was run")],
    drop: Annotated[float, typer.Option(help="The drop to detect, in points")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Show which drops the cases of a suite can detect, from the scores of its last run."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.accepted_run import gate_context
    from chassis_tools.evals.case_scores import design_effect, run_to_run_variance, scores_of
    from chassis_tools.evals.evaluation import last_run, load
    from chassis_tools.evals.gate_result import ALPHA
    from chassis_tools.evals.statistics import cases_needed, detectable_drop

    if not 0 < drop / 100 <= 1:
        raise ConfigError("--drop", f"it is {drop:g}", "Write points above 0 and up to 100, such as 5")
    [plan] = load(find_project(), [suite])
    context = gate_context(plan, last_run(plan))
    figures: list[dict[str, object]] = []
    for evaluator in plan.suite.evaluators:
        scores, accepted = (scores_of(records, evaluator) for records in (context.records, context.accepted))
        if not scores:
            raise ConfigError(f"var/evals/{suite}", "there is no run", f"Run `chassis evals run {suite}` first")
        variance, grouping = run_to_run_variance(scores, accepted), design_effect(scores)
        drops = {power: detectable_drop(len(scores), variance, ALPHA, power, grouping) for power in POWERS}
        needed = cases_needed(drop / 100, variance, ALPHA, 0.8, grouping)
        if as_json:
            points = {f"{power:g}": 100 * size for power, size in drops.items()}
            sizes = {"cases": len(scores), "repeats": context.repeats, "cases_needed": needed}
            figures.append({"evaluator": evaluator, **sizes, "detectable_points_by_power": points})
            continue
        detectable = ", ".join(f"{100 * size:.1f} points in {power:.0%}" for power, size in drops.items())
        print(f"{evaluator}: {len(scores)} cases × {context.repeats} detect a drop of {detectable} of the runs")
        if grouping > 1:
            print(f"  in groups, so that {grouping:.1f} cases tell as much as one that is independent")
        print(f"  detecting {drop:g} points in 80% of the runs takes {needed} cases")
    if as_json:
        print_json({"suite": suite, "drop_points": drop, "evaluators": figures})


def measure_searches(
    folder: Annotated[Path, typer.Argument(help="A folder of documents", exists=True, file_okay=False)],
    questions: Annotated[Path, typer.Argument(help="A JSONL file of questions", exists=True, dir_okay=False)],
    language: Annotated[str, typer.Option(help="The language of the documents")] = "english",
    embeddings: Annotated[
        Path | None, typer.Option(help="Measure the hybrid search too, and keep its vectors in this file")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how often the search finds the right document first, beside SQLite FTS5.

    Questions are lines such as {"question": "Return it?", "documents": ["returns.md"]}; without any, none answers.
    """
    from chassis.search import read_folder
    from chassis.telemetry.logs import configure_logs
    from chassis_tools.evals.search_benchmark import compare_searches, load_search_questions

    configure_logs(production=False)
    passages = read_folder(folder)
    known = {passage.document.partition("/")[2] for passage in passages}
    asked = load_search_questions(questions, known)
    rows = compare_searches(passages, asked, language, embeddings)
    if as_json:
        print_json({"passages": len(passages), "documents": len(known), "questions": len(asked), "searches": rows})
        return
    seconds = ", ".join(f"{name} {cpu:.1f} s" for name, cpu in {row["search"]: row["index s"] for row in rows}.items())
    print(f"{len(passages)} passages of {len(known)} documents; {len(asked)} questions; CPU to index: {seconds}")
    calibrated = [row for row in rows if row["fitted"] is not None]
    tables = (RANKING_COLUMNS, rows, RANKING_LEGEND), (CALIBRATION_COLUMNS, calibrated, CALIBRATION_LEGEND)
    for columns, shown, legend in tables:
        if shown:
            table = Table("search", "half", *columns)
            for row in shown:
                table.add_row(*(_cell(row[column]) for column in ("search", "half", *columns)))
            plain_console().print(table)
            print(legend)


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def show_floors(suite: SuiteName, evaluator: Grader = None, as_json: AsJson = False) -> None:
    """Show what each `quality.confidence_floor` would do to a suite, and which accuracy its cases prove.

    No model is asked.
    """
    from chassis_tools.evals.confidence_floors import floor_effect, floor_effects, separation

    plan, _, answers = _graded(suite, evaluator, as_drafted=False)
    quality = plan.constraints.quality
    effects, now = floor_effects(answers), floor_effect(answers, quality.confidence_floor)
    if as_json:
        floors, present = [_effect_as_dict(effect) for effect in effects], _effect_as_dict(now)
        print_json({"floors": floors, "now": present, "auroc": separation(answers)})
        return
    table = Table("floor", "right", "wrong", "made up", "needless referral", "right referral", "accuracy")
    for effect in effects:
        counts = effect.right, effect.wrong, effect.made_up, effect.needless_referrals, effect.right_referrals
        table.add_row(f"{effect.floor:.2f}", *map(str, counts), f"{effect.accuracy.value:.3f}")
    plain_console().print(table)
    best = max(effects, key=lambda effect: (effect.accuracy.value, effect.floor))
    print(f"The highest accuracy, {best.accuracy.value:.1%}, is at {best.floor:.2f}; the floor is now", end=" ")
    print(f"{quality.confidence_floor:.2f} (quality.confidence_floor in constraints.toml)")
    accuracy = now.accuracy
    print(f"There the accuracy is {accuracy.value:.1%} of {len(answers)} cases, which proves at least", end=" ")
    print(f"{accuracy.low:.1%}; quality.accuracy_floor is {quality.accuracy_floor:.2f}", end="")
    print(f", write {floor(100 * accuracy.low) / 100:.2f}" if quality.accuracy_floor > accuracy.low else "")
    if (share := separation(answers)) is not None:
        print(f"In {share:.1%} of pairs the answerable question has the higher confidence")


def _effect_as_dict(effect: "FloorEffect") -> Mapping[str, object]:
    return asdict(effect) | {"accuracy": effect.accuracy}


def calibrate_confidence(suite: SuiteName, evaluator: Grader = None) -> None:
    """Fit the confidence of answers to the share of right ones in a suite, for the service to use. No model is asked.

    Models count with the answers that `chassis evals record` kept. Choose the floor again afterwards.
    """
    from chassis.config.confidence import CONFIDENCE_FILE, ConfidenceCalibration
    from chassis.errors import ConfigError
    from chassis_tools.evals.confidence_fit import MIN_ANSWERS, confidence_data, confidence_problem
    from chassis_tools.evals.confidence_floors import fit_by_answerer
    from chassis_tools.evals.environment import task_code_hash
    from chassis_tools.evals.identity import documents_hash, search_hash

    plan, grader, answers = _graded(suite, evaluator, as_drafted=True)
    curves = fit_by_answerer(answers)
    if not curves:
        problem = f"no model and no baseline gave {MIN_ANSWERS} answers with a score from {grader!r}"
        raise ConfigError(f"evals/suites.toml: suites.{suite}", problem, "Add cases, or record the models' answers")
    data = confidence_data(
        plan.datasets,
        plan.suite.cases,
        plan.constraints,
        code=task_code_hash(plan.project),
        documents=documents_hash(plan.project.root),
        search=search_hash(plan.project.root),
    )
    calibration = ConfidenceCalibration(suite=suite, cases=plan.suite.cases, evaluator=grader, data=data, curves=curves)
    text = calibration.model_dump_json(indent=2)
    (plan.project.root / CONFIDENCE_FILE).write_text(text + "\n", encoding="utf-8")
    for name, curve in curves.items():
        print(f"{name}: {curve.right} of {curve.answers} answers are right; the calibration error falls from", end=" ")
        print(f"{curve.error_before:.3f} to {curve.error_after:.3f} on answers that were not fitted to")
        if not curve.slope:
            print("  its confidence does not tell right answers from wrong ones")
    print(f"  kept in {CONFIDENCE_FILE}; commit it, and choose the floor with `chassis evals floors {suite}`")
    if problem := confidence_problem(calibration, data):
        print(f"Warning: {problem}")


def compare_models(
    suite: SuiteName,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="A model of constraints.toml, or `baseline`; all by default")
    ] = None,
    prompts: Annotated[
        list[Path] | None, typer.Option("--prompts", help="A file in place of the prompts; may be given several times")
    ] = None,
    module: Annotated[
        str | None, typer.Option(help="The module of the prompts in your package: `prompts` if none is named")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Ask models for replies that are not recorded")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare models, and versions of the prompts, by cost and quality.

    Each model is asked alone; the suite's first evaluator decides. `chassis evals gate` then plots the result.

    Without --record no model is asked: replies come from the recordings of the suite.
    """
    from chassis.errors import ConfigError
    from chassis_tools.evals.confidence_floors import SILENT
    from chassis_tools.evals.evaluation import load
    from chassis_tools.evals.matrix import BASELINE, Matrix, module_of_prompts

    if module is not None and not prompts:
        raise ConfigError(f"--module {module}", "no prompts are given for it", "Name a file with --prompts")
    [plan] = load(find_project(), [suite])
    names = models or [*(config.name for config in plan.constraints.models), BASELINE]
    matrix = Matrix(
        plan=plan,
        evaluator=plan.suite.evaluators[0],
        models=tuple(dict.fromkeys(names)),
        prompts=(None, *dict.fromkeys(prompts or ())),
        module=module_of_prompts(plan.project, module or "prompts"),
        record=record,
    )
    table = Table("model", "prompts", "right", "95 % interval", "cost", "seconds", "")
    cells = asyncio.run(matrix.measure(SILENT))
    if as_json:
        print_json({"suite": suite, "cells": cells})
        return
    for cell in cells:
        if cell.right is None or cell.missing:
            table.add_row(cell.model, cell.prompt, f"{cell.missing} cases without a reply; use --record")
            continue
        bounds = f"{cell.right.low:.1%} to {cell.right.high:.1%}"
        figures = f"{cell.right.value:.1%}", bounds, f"${cell.usd:.6f}", f"{cell.seconds:.3f}"
        table.add_row(cell.model, cell.prompt, *figures, "best" if cell.is_best else "")
    plain_console().print(table)
    print("best: no other is both cheaper and better")


def _graded(suite: str, evaluator: str | None, *, as_drafted: bool) -> "tuple[Plan, str, list[GradedAnswer]]":
    """Return the plan of a suite, the grader that decides, and the graded answers to its cases."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.confidence_floors import grade_answers
    from chassis_tools.evals.evaluation import load

    [plan] = load(find_project(), [suite])
    evaluator = evaluator or plan.suite.evaluators[0]
    if evaluator not in plan.suite.evaluators or evaluator in plan.judges:
        choices = ", ".join(name for name in plan.suite.evaluators if name not in plan.judges)
        raise ConfigError("--evaluator", f"the suite has no grader {evaluator!r}", f"Choose from: {choices}")
    answers = asyncio.run(grade_answers(plan, evaluator, as_drafted=as_drafted))
    if not answers:
        raise ConfigError(f"suites.{suite}", f"no answer has a score from {evaluator!r}", "Name another suite")
    return plan, evaluator, answers


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The scores of one evaluator in two runs, on the cases that both have: means, their change and its interval."""

    cases: int
    before: float
    after: float
    change: float
    low: float
    high: float
    worse: Sequence[str]
    better: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Means:
    """The mean of a quantity in two runs, over the cases that both have."""

    cases: int
    before: float
    after: float


def _compare(before: "CaseScores", after: "CaseScores", cases: Sequence[str]) -> _Comparison:
    from chassis_tools.evals.case_scores import mean_change

    change = mean_change(before, after, cases, alpha=0.025)
    then, now = (sum(scores[case].mean for case in cases) / len(cases) for scores in (before, after))
    worse = [case for case in cases if after[case].mean < before[case].mean]
    better = [case for case in cases if after[case].mean > before[case].mean]
    return _Comparison(len(cases), then, now, change.value, change.low, change.high, worse, better)


def _cells(comparison: _Comparison) -> tuple[str, ...]:
    low, high = (f"{100 * bound:+.1f}" for bound in (comparison.low, comparison.high))
    means = f"{comparison.before:.1%}", f"{comparison.after:.1%}"
    interval = f"{100 * comparison.change:+.1f} [{low}, {high}]"
    return *means, interval, _counted(comparison.worse), _counted(comparison.better)


def _spent(before: "Sequence[ScoreRecord]", after: "Sequence[ScoreRecord]") -> dict[str, _Means]:
    """Return the mean cost and latency of an answer in the cases that both runs have."""
    from chassis_tools.evals.case_scores import completed_trials

    trials = completed_trials(before), completed_trials(after)
    shared = {trial.case for trial in trials[0]} & {trial.case for trial in trials[1]}
    means: dict[str, _Means] = {}
    for field in MEANS:
        amounts = [[getattr(trial, field) for trial in run if trial.case in shared] for run in trials]
        if all(amounts):
            means[field] = _Means(len(shared), *(sum(values) / len(values) for values in amounts))
    return means


def _counted(cases: Sequence[str]) -> str:
    from chassis_tools.evals.gate_result import join_names

    return f"{len(cases)}: {join_names(cases)}" if cases else "0"


def _read_records(folder: Path) -> "list[ScoreRecord]":
    from chassis.errors import ConfigError
    from chassis_tools.evals.jsonl import read_jsonl
    from chassis_tools.evals.records import RECORDS, ScoreRecord

    if not (folder / RECORDS).exists():
        remedy = "Name the folder of a run, such as var/evals/answers or evals/accepted/answers"
        raise ConfigError(f"{folder / RECORDS}", "there is no such file", remedy)
    return read_jsonl(folder / RECORDS, ScoreRecord, "Run the suite again")
