"""`chassis evals compare`: two runs of the same cases, with the change of their scores, cost and latency."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from chassis.cli.terminal import AsJson, plain_console, print_json

if TYPE_CHECKING:
    from chassis_tools.evals.case_scores import CaseScores
    from chassis_tools.evals.records import ScoreRecord

MEANS = {"cost_usd": ("mean cost, $", 6), "seconds": ("mean latency, s", 3)}
"""What `compare` compares besides scores, each with its title and its decimals."""


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
