"""`chassis evals`: does the service answer well enough?"""

import asyncio
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from chassis.config.project import Project, find_project
from chassis_tools.cli.evals_analysis import calibrate_judge, compare_runs, show_power

if TYPE_CHECKING:
    from chassis_tools.evals.environment import Mode
    from chassis_tools.evals.gate.result import GateResult
    from chassis_tools.evals.jsonl import Progress
    from chassis_tools.evals.plan import Plan
    from chassis_tools.evals.records import SuiteRun
    from chassis_tools.evals.report.report import Report

INTERRUPTED = 130
"""The exit code by which shells know a program that was stopped with Ctrl-C."""

app = typer.Typer(help="Evaluate how well the service answers.", no_args_is_help=True)

SuiteNames = Annotated[
    list[str] | None, typer.Argument(help="Suites of evals/suites.toml; all replay suites if none is named")
]


@app.command("run")
def run_suites(
    suites: SuiteNames = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped")] = False,
) -> None:
    """Ask, score and judge. Exit code 0 if good enough, 1 if not, 3 without evidence, 4 if inconclusive."""
    from chassis_tools.evals.evaluation import last_run, load
    from chassis_tools.evals.records import SuiteRun

    project = find_project()
    plans = load(project, suites or ())
    judged = [_evaluate(plan, plan.suite.kind, last_run(plan) if resume else SuiteRun()) for plan in plans]
    _publish(project, judged)


@app.command("record")
def record_replies(
    suites: Annotated[list[str], typer.Argument(help="Replay suites of evals/suites.toml")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again for replies that are already recorded")] = False,
) -> None:
    """Ask the models and record their replies, so that `run` gives the same verdict offline."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.evaluation import load
    from chassis_tools.evals.recordings import FOLDER
    from chassis_tools.evals.records import SuiteRun
    from chassis_tools.evals.suites import FILE

    project = find_project()
    plans = load(project, suites)
    for plan in plans:
        if plan.suite.kind != "replay":
            problem = "only replies for replay suites can be recorded"
            raise ConfigError(f"{FILE}: suites.{plan.name}", problem, "Name a replay suite")
    if fresh:
        for plan in plans:
            (project.root / FOLDER / f"{plan.name}.jsonl").unlink(missing_ok=True)
    _publish(project, [_evaluate(plan, "record", SuiteRun()) for plan in plans])


@app.command("gate")
def judge_last_runs(suites: SuiteNames = None) -> None:
    """Judge the last runs again, with the rules and thresholds of today; no model is asked."""
    from chassis_tools.evals.evaluation import gate, last_run, load

    project = find_project()
    runs = [(plan, last_run(plan)) for plan in load(project, suites or ())]
    _publish(project, [(plan, run, gate(plan, run.records)) for plan, run in runs])


@app.command("report")
def show_report() -> None:
    """Render var/evals/report.json again as Markdown, HTML and JUnit XML, and show it."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.plan import RUNS
    from chassis_tools.evals.report.files import REPORT_FILE, load_report

    folder = find_project().root / RUNS
    if not (folder / REPORT_FILE).exists():
        raise ConfigError(f"{RUNS}/{REPORT_FILE}", "there is no such file", "Run `chassis evals run` first")
    _write_and_show(load_report(folder), folder)


@app.command("accept")
def accept_runs(suites: SuiteNames = None) -> None:
    """Make the last runs the ones that later runs are compared with; commit what it writes."""
    from chassis_tools.evals.evaluation import accept_run, load

    for plan in load(find_project(), suites or ()):
        accept_run(plan)
        folder = plan.accepted_folder.relative_to(plan.project.root)
        print(f"{folder}/ is what later runs are compared with; commit it")


# After the everyday commands, because `--help` lists them in this order.
app.command("compare")(compare_runs)
app.command("power")(show_power)
app.command("calibrate")(calibrate_judge)


def _evaluate(plan: "Plan", mode: "Mode", earlier: "SuiteRun") -> "tuple[Plan, SuiteRun, GateResult]":
    """Run, score and judge one suite; if that is inconclusive, once more with as many repeats as the suite allows."""
    from chassis_tools.evals.evaluation import gate

    run = _run_and_score(plan, mode, plan.suite.repeats, earlier)
    result = gate(plan, run.records)
    repeats = max((record.repeat for record in run.records), default=0)
    if result.is_inconclusive and repeats < plan.suite.most_repeats:
        print(f"{plan.name}: inconclusive after {repeats} repeats; asking up to {plan.suite.most_repeats}")
        run = _run_and_score(plan, mode, plan.suite.most_repeats, run)
        result = gate(plan, run.records)
    return plan, run, result


def _run_and_score(plan: "Plan", mode: "Mode", repeats: int, earlier: "SuiteRun") -> "SuiteRun":
    """Run one suite with a progress bar; Ctrl-C keeps what was answered so far."""
    from chassis_tools.evals.evaluation import run_and_score

    finished: dict[str, int] = {}
    try:
        with _progress_bars(plan.name, finished) as progress:
            return asyncio.run(run_and_score(plan, mode, repeats=repeats, earlier=earlier, progress=progress))
    except KeyboardInterrupt:
        kept = " and ".join(f"{count} {step}" for step, count in finished.items()) or "No answers"
        again = f"record {plan.name}" if mode == "record" else f"run {plan.name} --resume"
        print(f"Stopped. {kept} are kept; `chassis evals {again}` continues", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _progress_bars(suite: str, finished: dict[str, int]) -> "Generator[Progress]":
    """Show a bar for each step of a run, and count in `finished` what each step has done."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from chassis_tools.evals.jsonl import Progress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, transient=True) as bars:

        def start(step: str, total: int) -> None:
            if total:
                finished[step] = 0
                bars.add_task(f"{suite}: {step}", total=total)

        def advance() -> None:
            finished[list(finished)[-1]] += 1
            bars.advance(bars.task_ids[-1])

        yield Progress(start, advance)


def _publish(project: Project, judged: "Iterable[tuple[Plan, SuiteRun, GateResult]]") -> None:
    """Write and show the report, and exit with its verdict."""
    from chassis_tools.evals.evaluation import report
    from chassis_tools.evals.plan import RUNS

    judged_report = report(project, judged)
    _write_and_show(judged_report, project.root / RUNS)
    print(f"Full report: {RUNS}/report.html")
    raise typer.Exit(judged_report.exit_code)


def _write_and_show(report: "Report", folder: Path) -> None:
    from chassis_tools.evals.report.files import write_report
    from chassis_tools.evals.report.text import print_report

    write_report(report, folder)
    print_report(report, Console(markup=False, highlight=False))
