"""`chassis evals`: does the service answer well enough?"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress

from chassis.project import Project, find_project

if TYPE_CHECKING:
    from chassis.evals.report import Report

FOLDER = "var/evals"

app = typer.Typer(help="See how well the service answers.", no_args_is_help=True)


@app.callback()
def evals() -> None:
    """See how well the service answers."""


@app.command()
def run() -> None:
    """Ask every case, grade what came back, and fail below quality.accuracy_floor."""
    from chassis.evals.report import save
    from chassis.evals.screen import show

    project, console = find_project(), Console(markup=False)
    report = asyncio.run(_report(project, console))
    show(report, console)
    save(report, project.root / FOLDER)
    console.print(f"{FOLDER}/ holds report.json, records.jsonl and log.jsonl", style="dim")
    raise typer.Exit(report.verdict)


async def _report(project: Project, console: Console) -> "Report":
    from chassis.evals.cases import load_cases
    from chassis.evals.report import Report
    from chassis.evals.run import rehearsal, run
    from chassis.evals.score import load_grade, score
    from chassis.wiring import wire

    with _log_in(project.root / FOLDER):
        async with wire(project) as wiring, rehearsal(wiring.service) as service:
            cases, grade = load_cases(project.root, wiring.task), load_grade(project.root)
            with Progress(console=console, transient=True) as progress:
                bar = progress.add_task("asking", total=len(cases))
                results = await run(service, cases, on_result=lambda: progress.advance(bar))
    return Report([score(result, grade) for result in results], wiring.constraints.quality.accuracy_floor)


@contextmanager
def _log_in(folder: Path) -> Generator[None]:
    """Keep hundreds of log lines off the screen, but keep them."""
    from chassis.telemetry.logs import configure_logs

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("w", encoding="utf-8") as log:
        configure_logs(production=True, stream=log)
        try:
            yield
        finally:
            configure_logs(production=False)
