"""The commands of `chassis evals` that analyze the evaluation itself: compare, power and calibrate."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from chassis.config.project import find_project

if TYPE_CHECKING:
    from chassis_tools.evals.gate.scores import CaseScores
    from chassis_tools.evals.records import ScoreRecord

POWERS = (0.5, 0.8, 0.95)
"""The shares of runs in which a drop is found, from the weakest to the strongest."""


def compare_runs(
    before: Annotated[Path, typer.Argument(help="A folder with a records.jsonl", exists=True)],
    after: Annotated[Path, typer.Argument(help="Another one", exists=True)],
) -> None:
    """Compare two runs of the same cases."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.gate.scores import comparable_cases, scores_of

    runs = _read_records(before), _read_records(after)
    versions: list[dict[str, str]] = [{each.evaluator: each.evaluator_hash for each in run} for run in runs]
    table = Table("evaluator", "cases", "before", "after", "change, 95 % interval", "worse", "better")
    for evaluator in sorted(versions[0].keys() & versions[1].keys()):
        old, new = (scores_of(run, evaluator) for run in runs)
        if cases := comparable_cases(old, new):
            table.add_row(evaluator, str(len(cases)), *_comparison(old, new, cases))
    if not table.rows:
        problem = "they have no case with the same question, expected answer and evaluator"
        raise ConfigError(f"{before} and {after}", problem, "Name two runs of one suite")
    Console(markup=False, highlight=False).print(table)
    if changed := sorted(name for name, version in versions[0].items() if versions[1].get(name, version) != version):
        print(f"These evaluators have changed, which alone may explain the difference: {', '.join(changed)}")


def show_power(
    suite: Annotated[str, typer.Argument(help="A suite that was run")],
    drop: Annotated[float, typer.Option(help="The drop to detect, in points")] = 5.0,
) -> None:
    """Show which drops the cases of a suite can detect, from the scores of its last run."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.evaluation import last_run, load
    from chassis_tools.evals.gate.result import ALPHA, GateContext
    from chassis_tools.evals.gate.scores import run_to_run_variance, scores_of
    from chassis_tools.evals.stats.paired import cases_needed, detectable_drop

    [plan] = load(find_project(), [suite])
    context = GateContext(plan, last_run(plan).records)
    for evaluator in plan.suite.evaluators:
        scores, accepted = (scores_of(records, evaluator) for records in (context.records, context.accepted))
        if not scores:
            raise ConfigError(f"var/evals/{suite}", "there is no run", f"Run `chassis evals run {suite}` first")
        variance = run_to_run_variance(scores, accepted)
        drops = ((power, detectable_drop(len(scores), variance, ALPHA, power)) for power in POWERS)
        detectable = ", ".join(f"{100 * size:.1f} points in {power:.0%}" for power, size in drops)
        print(f"{evaluator}: {len(scores)} cases × {context.repeats} detect a drop of {detectable} of the runs")
        needed = cases_needed(drop / 100, variance, ALPHA, 0.8)
        print(f"  detecting {drop:g} points in 80% of the runs takes {needed} cases")


def calibrate_judge(judge: Annotated[str, typer.Argument(help="A judge of evals/judges.toml")]) -> None:
    """Compare a judge with people's labels and keep the result. Exit code 1 if the judge may not block."""
    from chassis_tools.evals.judge_client import calibrate
    from chassis_tools.evals.judges import MIN_AGREEMENT, save_calibration

    project = find_project()
    calibration = asyncio.run(calibrate(project, judge))
    path = save_calibration(project.root, calibration)
    counts = calibration.agreement
    print(f"{judge}: passes {counts.good_passed} of {counts.good} good answers (TPR {counts.true_pass_rate:.0%}),")
    print(f"  fails {counts.bad_failed} of {counts.bad} bad ones (TNR {counts.true_fail_rate:.0%}),")
    print(f"  gives no verdict on {calibration.judge_errors}")
    print(f"  kept in {path.relative_to(project.root)}; commit it")
    if problem := calibration.problem(MIN_AGREEMENT):
        print(f"It may not block: {problem}")
        raise typer.Exit(1)


def _comparison(before: "CaseScores", after: "CaseScores", cases: Sequence[str]) -> tuple[str, ...]:
    from chassis_tools.evals.gate.scores import mean_change

    change = mean_change(before, after, cases, alpha=0.025)
    means = (f"{sum(scores[case].mean for case in cases) / len(cases):.1%}" for scores in (before, after))
    worse = [case for case in cases if after[case].mean < before[case].mean]
    better = [case for case in cases if after[case].mean > before[case].mean]
    interval = f"{100 * change.value:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    return *means, interval, _counted(worse), _counted(better)


def _counted(cases: Sequence[str]) -> str:
    from chassis_tools.evals.gate.result import join_names

    return f"{len(cases)}: {join_names(cases)}" if cases else "0"


def _read_records(folder: Path) -> "list[ScoreRecord]":
    from chassis.errors import ConfigError
    from chassis_tools.evals.jsonl import read_jsonl
    from chassis_tools.evals.records import RECORDS, ScoreRecord

    if not (folder / RECORDS).exists():
        remedy = "Name the folder of a run, such as var/evals/answers or evals/accepted/answers"
        raise ConfigError(f"{folder / RECORDS}", "there is no such file", remedy)
    return read_jsonl(folder / RECORDS, ScoreRecord, "Run the suite again")
