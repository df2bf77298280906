"""`chassis evals`: does the service answer well enough?"""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from chassis.config.project import Project, find_project
from chassis_tools.cli import evidence
from chassis_tools.cli.quiet import log_in

if TYPE_CHECKING:
    from chassis_tools.evals.report.report import Report
    from chassis_tools.evals.running import Order
    from chassis_tools.evals.suites import Suites

FOLDER = "var/evals"
STOPPED = 130
"""What a shell says of a program that was stopped with Ctrl-C."""

app = typer.Typer(help="See how well the service answers.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Suites of evals/suites.toml; all that replay if none")]


@app.command()
def run(
    suites: Names = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped run left off")] = False,
) -> None:
    """Ask, grade and judge: exit with 0 if it is good enough, 1 if not, 3 without evidence, 4 if it cannot be said."""
    _run(tuple(suites or ()), recording=False, resume=resume)


@app.command()
def record(
    suites: Annotated[list[str], typer.Argument(help="Replay suites of evals/suites.toml")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what is recorded already")] = False,
) -> None:
    """Ask the models and record their replies, so that `run` gives the same verdict offline."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.recordings import FOLDER as RECORDINGS
    from chassis_tools.evals.suites import FILE

    replayed = _project()[1].named(())
    for name in suites:
        if name not in replayed:
            problem = "it is no suite that replays, so nothing is recorded for it"
            raise ConfigError(f"{FILE}: suites.{name}", problem, f"Choose from: {', '.join(replayed)}")
    if fresh:
        for name in suites:
            (find_project().root / RECORDINGS / f"{name}.jsonl").unlink(missing_ok=True)
    _run(tuple(suites), recording=True, resume=False)


@app.command()
def gate(suites: Names = None) -> None:
    """Judge the last runs again, under the thresholds of today; nobody is asked."""
    project, known = _project()
    _judge(project, known, tuple(known.named(tuple(suites or ()))))


@app.command()
def report() -> None:
    """Write Markdown, HTML and JUnit XML again from var/evals/report.json, and show it."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.report.files import REPORT_FILE, load_report, write_report
    from chassis_tools.evals.report.text import print_report

    folder = find_project().root / FOLDER
    if not (folder / REPORT_FILE).exists():
        raise ConfigError(f"{FOLDER}/{REPORT_FILE}", "there is no such file", "Run `chassis evals run` first")
    report = load_report(folder)
    write_report(report, folder)
    print_report(report, Console(markup=False, highlight=False))


@app.command()
def accept(suites: Names = None) -> None:
    """Make the last runs the ones that later runs are compared with; commit what it writes."""
    from chassis_tools.evals.judging import accept as keep

    project, known = _project()
    for name in known.named(tuple(suites or ())):
        kept = keep(project.root, known, name).relative_to(project.root)
        print(f"{kept}/ is what later runs are compared with; commit it")


def _run(names: tuple[str, ...], *, recording: bool, resume: bool) -> None:
    from chassis_tools.evals.running import Order

    project, known = _project()
    wanted = known.named(names)
    for name, suite in wanted.items():
        mode = "record" if recording else suite.kind
        _ask(Order(project, name, suite, mode, resume=resume, repeats=suite.repeats))
    written = _judged(project, known, tuple(wanted))
    for told in written.suites:
        suite = known.suites[told.name]
        if told.is_inconclusive and told.repeats < suite.most_repeats:
            print(f"{told.name}: not decided with {told.repeats} repeats; asking up to {suite.most_repeats}")
            _ask(Order(project, told.name, suite, suite.kind, resume=True, repeats=suite.most_repeats))
    _judge(project, known, tuple(wanted))


def _ask(order: "Order") -> None:
    """Run one suite with a bar, and keep what was recorded if somebody presses Ctrl-C."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from chassis_tools.evals.jsonl import Progress as Steps
    from chassis_tools.evals.running import run_suite

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with log_in(order.project.root / FOLDER), Progress(*columns, transient=True) as progress:
        bars: list[tuple[str, TaskID]] = []

        def begin(what: str, total: int) -> None:
            if total:
                bars.append((what, progress.add_task(f"{order.name}: {what}", total=total)))

        try:
            asyncio.run(run_suite(order, Steps(begin, lambda: progress.advance(bars[-1][1]))))
        except KeyboardInterrupt:
            progress.stop()
            kept = " and ".join(f"{progress.tasks[bar].completed:.0f} {what}" for what, bar in bars) or "no answers"
            again = f"record {order.name}" if order.mode == "record" else f"run {order.name} --resume"
            print(f"Stopped. {kept} are kept; `chassis evals {again}` goes on", file=sys.stderr)
            raise typer.Exit(STOPPED) from None


def _judge(project: Project, known: "Suites", names: tuple[str, ...]) -> None:
    """Judge, write every form, show, and exit with the verdict."""
    from chassis_tools.evals.report.files import write_report
    from chassis_tools.evals.report.text import print_report

    report = _judged(project, known, names)
    write_report(report, project.root / FOLDER)
    print_report(report, Console(markup=False, highlight=False))
    print(f"Full report: {FOLDER}/report.html")
    raise typer.Exit(report.exit_code)


def _judged(project: Project, known: "Suites", names: tuple[str, ...]) -> "Report":
    from chassis_tools.evals.judging import judge_runs

    return judge_runs(project, known, names)


def _project() -> tuple[Project, "Suites"]:
    from chassis_tools.evals.suites import load_suites

    project = find_project()
    return project, load_suites(project.root)


# Behind the commands of every day: `--help` lists them in this order.
app.command()(evidence.compare)
app.command()(evidence.power)
app.command()(evidence.calibrate)
