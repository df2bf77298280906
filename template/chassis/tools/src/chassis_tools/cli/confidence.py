"""`chassis evals search`, `floors` and `calibrate-confidence`: what is found, and what its confidence is worth."""

import asyncio
from dataclasses import asdict
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.config.project import find_project

if TYPE_CHECKING:
    from chassis_tools.evals.confidence_floors import GradedAnswer
    from chassis_tools.evals.plan import Plan

SEARCH_COLUMNS = ("search", "half", "hit@1", "hit@5", "MRR", "AUROC", "ECE", "fitted", "CPU ms")

SuiteName = Annotated[str, typer.Argument(help="A suite of evals/suites.toml")]
Grader = Annotated[
    str | None, typer.Option("--evaluator", help="The grader that decides; the first of the suite by default")
]


def measure_searches(
    folder: Annotated[Path, typer.Argument(help="A folder of documents", exists=True, file_okay=False)],
    questions: Annotated[Path, typer.Argument(help="A JSONL file of questions", exists=True, dir_okay=False)],
    language: Annotated[str, typer.Option(help="The language of the documents")] = "english",
    as_json: AsJson = False,
) -> None:
    """Measure how often the search finds the right document first, beside SQLite FTS5.

    A line of the questions is such as {"question": "May I return it?", "documents": ["returns.md"]}; without documents
    it is one that cannot be answered. The figures to believe are those of the half with which nothing was tuned. ECE is
    the calibration error of the confidence, and `fitted` what is left of it after fits to 100 tuning questions.
    """
    from chassis.search import read_folder
    from chassis_tools.evals.confidence_fit import calibration_error
    from chassis_tools.evals.search_benchmark import (
        fitted_error,
        halves,
        load_search_questions,
        measure_search,
        searches,
    )

    passages = read_folder(folder)
    known = {passage.document.partition("/")[2] for passage in passages}
    parts = halves(load_search_questions(questions, known))
    rows: list[dict[str, str | float | None]] = []
    for name, find in searches(passages, language).items():
        tuned = None
        for half, part in zip(("tuning", "held out"), parts, strict=True):
            if any(question.documents for question in part):
                result = measure_search(find, part)
                shares = (result.first, result.first_five, result.reciprocal_rank)
                error = calibration_error(result.answers) if name == "chassis.search" else None
                fitted = fitted_error(tuned, result.answers) if tuned and error is not None else None
                tuned = result.answers
                values = (name, half, *shares, result.abstention, error, fitted, result.milliseconds)
                rows.append(dict(zip(SEARCH_COLUMNS, values, strict=True)))
    if as_json:
        print_json({"passages": len(passages), "documents": len(known), "searches": rows})
        return
    table = Table(*SEARCH_COLUMNS)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    print(f"{len(passages)} passages of {len(known)} documents; {len(parts[0])} + {len(parts[1])} questions")
    plain_console().print(table)


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.3f}"


def show_floors(suite: SuiteName, evaluator: Grader = None, as_json: AsJson = False) -> None:
    """Show what each `quality.confidence_floor` would do to a suite, and which accuracy its cases prove.

    No model is asked.
    """
    from chassis_tools.evals.confidence_floors import floor_effect, floor_effects, separation

    plan, _, answers = _graded(suite, evaluator, as_drafted=False)
    if as_json:
        floors = [asdict(effect) | {"accuracy": effect.accuracy} for effect in floor_effects(answers)]
        now = floor_effect(answers, plan.constraints.quality.confidence_floor)
        print_json({"floors": floors, "now": asdict(now) | {"accuracy": now.accuracy}, "auroc": separation(answers)})
        return
    table = Table("floor", "right", "wrong", "made up", "needless referral", "right referral", "accuracy")
    quality = plan.constraints.quality
    best = max(floor_effects(answers), key=lambda effect: effect.accuracy.value)
    for effect in floor_effects(answers):
        counts = effect.right, effect.wrong, effect.made_up, effect.needless_referrals, effect.right_referrals
        table.add_row(f"{effect.floor:.2f}", *map(str, counts), f"{effect.accuracy.value:.3f}")
    plain_console().print(table)
    print(f"The highest accuracy, {best.accuracy.value:.1%}, is at {best.floor:.2f}; the floor is now", end=" ")
    print(f"{quality.confidence_floor:.2f} (quality.confidence_floor in constraints.toml)")
    accuracy = floor_effect(answers, quality.confidence_floor).accuracy
    print(f"There the accuracy is {accuracy.value:.1%} of {len(answers)} cases, which proves at least", end=" ")
    print(f"{accuracy.low:.1%}; quality.accuracy_floor is {quality.accuracy_floor:.2f}", end="")
    print(f", write {floor(100 * accuracy.low) / 100:.2f}" if quality.accuracy_floor > accuracy.low else "")
    if (share := separation(answers)) is not None:
        print(f"In {share:.1%} of pairs the answerable question has the higher confidence")


def calibrate_confidence(suite: SuiteName, evaluator: Grader = None) -> None:
    """Fit the confidence of answers to the share of right ones in a suite, for the service to use. No model is asked.

    Models count with the answers that `chassis evals record` kept. Choose the floor again afterwards.
    """
    from chassis.config.confidence import CONFIDENCE_FILE, ConfidenceCalibration
    from chassis.errors import ConfigError
    from chassis_tools.evals.confidence_fit import MIN_ANSWERS, confidence_data, confidence_problem
    from chassis_tools.evals.confidence_floors import fit_by_answerer
    from chassis_tools.evals.environment import task_code_hash
    from chassis_tools.evals.identity import documents_hash

    plan, grader, answers = _graded(suite, evaluator, as_drafted=True)
    curves = fit_by_answerer(answers)
    if not curves:
        problem = f"no model and no baseline gave {MIN_ANSWERS} answers with a score from {grader!r}"
        raise ConfigError(f"evals/suites.toml: suites.{suite}", problem, "Add cases, or record the models' answers")
    code, documents = task_code_hash(plan.project), documents_hash(plan.project.root)
    data = confidence_data(plan.datasets, plan.suite.cases, plan.constraints, code=code, documents=documents)
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
