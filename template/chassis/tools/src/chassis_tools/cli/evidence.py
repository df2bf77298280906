"""The commands of `chassis evals` that say how much the evidence is worth: calibrate, power, compare."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from chassis.config.project import Project, find_project
from chassis_tools.cli.quiet import log_in

if TYPE_CHECKING:
    from chassis_tools.evals.judges import Calibration
    from chassis_tools.evals.records import ScoreRecord


def calibrate(judge: Annotated[str, typer.Argument(help="A judge of evals/judges.toml")]) -> None:
    """Hold a judge against people's labels, and keep the result; exit with 1 if it may not be believed."""
    from chassis_tools.evals.judges import save_calibration
    from chassis_tools.evals.suites import LEAST_AGREEMENT

    project = find_project()
    with log_in(project.root / "var/evals"):
        found = asyncio.run(_calibrated(project, judge))
    path = save_calibration(project.root, found)
    seen = found.agreement
    print(f"{judge}: passes {seen.good_passed} of {seen.good} good answers (TPR {seen.true_pass_rate:.0%}),")
    print(f"  fails {seen.bad_failed} of {seen.bad} bad ones (TNR {seen.true_fail_rate:.0%}),")
    print(f"  gives no verdict on {found.judge_errors}")
    print(f"  kept in {path.relative_to(project.root)}; commit it")
    if problem := found.problem(LEAST_AGREEMENT):
        print(f"It may not block: {problem}")
        raise typer.Exit(1)


async def _calibrated(project: Project, name: str) -> "Calibration":
    from chassis.errors import ConfigError
    from chassis_tools.evals.environment import open_environment
    from chassis_tools.evals.graders import JudgeFailed
    from chassis_tools.evals.judge_client import make_judge
    from chassis_tools.evals.judges import FILE, Label, load_judges, load_labels
    from chassis_tools.evals.judges import calibrate as hold
    from chassis_tools.evals.suites import Suite

    judges = load_judges(project.root)
    if name not in judges:
        known = ", ".join(judges) or "none"
        raise ConfigError(FILE, f"there is no judge {name!r}", f"Choose from: {known}")
    labels = load_labels(project.root, name)
    alone = Suite(kind="live", cases=("none",), evaluators=(name,), rules=())
    async with open_environment(project, f"judge-{name}", alone, "live") as staged:
        bench = make_judge(name, judges[name], staged)

        async def verdict(label: Label) -> float | None:
            try:
                return (await bench.ask(label.question, label.answer)).value
            except JudgeFailed:
                return None

        return await hold(name, bench.fingerprint, labels, verdict)


def power(
    suite: Annotated[str, typer.Argument(help="A suite that was run")],
    drop: Annotated[float, typer.Option(help="The drop that you want to notice, in points")] = 5.0,
) -> None:
    """Say what the cases of a suite can show, from the records of its last run."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.gate.context import ALPHA
    from chassis_tools.evals.gate.scores import run_to_run_variance, scores_of
    from chassis_tools.evals.judging import context_of
    from chassis_tools.evals.stats.paired import cases_needed, detectable_drop
    from chassis_tools.evals.suites import load_suites

    root = find_project().root
    known = load_suites(root)
    known.named((suite,))
    context = context_of(root, known, suite)
    for evaluator in context.suite.evaluators:
        now, before = (scores_of(records, evaluator) for records in (context.records, context.accepted))
        if not now:
            raise ConfigError(f"var/evals/{suite}", "there is no run", f"Run `chassis evals run {suite}` first")
        noise = run_to_run_variance(now, before)
        chances = ((chance, detectable_drop(len(now), noise, ALPHA, chance)) for chance in (0.5, 0.8, 0.95))
        found = ", ".join(f"{100 * size:.1f} points in {chance:.0%}" for chance, size in chances)
        print(f"{evaluator}: with {len(now)} cases × {context.repeats} the smallest drop found is {found} of the runs")
        needed = cases_needed(drop / 100, noise, ALPHA, 0.8)
        print(f"  to find {drop:g} points in 80% of the runs takes {needed} cases")


def compare(
    before: Annotated[Path, typer.Argument(help="A folder with a records.jsonl", exists=True)],
    after: Annotated[Path, typer.Argument(help="Another", exists=True)],
) -> None:
    """Compare two runs of the same cases."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.gate.scores import comparable_cases, mean_change, scores_of

    old, new = _records_in(before), _records_in(after)
    table = Table("evaluator", "cases", "before", "after", "change, 95 % interval", "worse", "better")
    rulers: list[dict[str, str]] = [{record.evaluator: record.evaluator_hash for record in run} for run in (old, new)]
    for evaluator in sorted(rulers[0].keys() & rulers[1].keys()):
        was, now = scores_of(old, evaluator), scores_of(new, evaluator)
        cases = comparable_cases(was, now)
        if cases:
            found = mean_change(was, now, cases, alpha=0.025)
            means = (sum(scores[case].mean for case in cases) / len(cases) for scores in (was, now))
            change = f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
            worse = [case for case in cases if now[case].mean < was[case].mean]
            better = [case for case in cases if now[case].mean > was[case].mean]
            table.add_row(
                evaluator, str(len(cases)), *(f"{mean:.1%}" for mean in means), change, _named(worse), _named(better)
            )
    if not table.rows:
        problem = "they have no case with the same question, expectation and evaluator"
        raise ConfigError(f"{before} and {after}", problem, "Name two runs of one suite")
    Console(markup=False, highlight=False).print(table)
    if changed := sorted(name for name, mark in rulers[0].items() if rulers[1].get(name, mark) != mark):
        print(
            f"Another evaluator goes by the same name now: {', '.join(changed)}; the change may be the ruler's alone."
        )


def _records_in(folder: Path) -> "list[ScoreRecord]":
    from chassis.errors import ConfigError
    from chassis_tools.evals.jsonl import read_jsonl
    from chassis_tools.evals.records import RECORDS, ScoreRecord

    if not (folder / RECORDS).exists():
        example = "Name the folder of a run, such as var/evals/answers or evals/accepted/answers"
        raise ConfigError(f"{folder / RECORDS}", "there is no such file", example)
    return read_jsonl(folder / RECORDS, ScoreRecord, "Run the suite again")


def _named(cases: list[str], most: int = 5) -> str:
    more = f", {len(cases) - most} more" if len(cases) > most else ""
    return f"{len(cases)}" + (f": {', '.join(cases[:most])}{more}" if cases else "")
