"""`chassis drift`: whether the quality of production has changed, since when, the likely cause, and what to do next."""

import getpass
from collections.abc import Iterator
from typing import Annotated

import typer

from chassis.cli.terminal import AsJson, print_json
from chassis.config.project import find_project
from chassis.quality.drift import DriftReport, DriftWatch, SignalReport
from chassis.store.opening import run_with_database
from chassis.store.reviews import Reviews

app = typer.Typer(
    help="Show quality drift: whether production answers worse than it used to.", invoke_without_command=True
)


@app.callback()
def drift(context: typer.Context, as_json: AsJson = False) -> None:
    """Show quality drift: whether production answers worse than it used to.

    Edited files of the chassis are something else: `chassis status` lists them.
    """
    if context.invoked_subcommand is not None:
        return
    reports = run_with_database(find_project(), lambda database: DriftWatch(database).reports())
    if as_json:
        print_json({"tasks": [_as_dict(report) for report in reports]})
        return
    if not reports:
        typer.echo("No calls have been counted yet.")
    for report in reports:
        typer.echo("\n".join(_lines(report)))


@app.command()
def close(
    alarm_id: Annotated[str, typer.Argument(metavar="ALARM", help="The id of the alarm, such as d_1f0c….")],
    accept: Annotated[bool, typer.Option("--accept", help="Make the new level the reference from now on.")] = False,
) -> None:
    """Close an alarm of quality drift, after its cause is fixed or the new level is accepted."""
    reviewer = getpass.getuser()
    run_with_database(find_project(), lambda database: Reviews(database).close_alarm(alarm_id, reviewer, accept=accept))
    level = "The reference starts anew" if accept else "The rate is compared with the same reference"
    typer.echo(f"Closed {alarm_id}. {level} from tomorrow (UTC) on.")


def _lines(report: DriftReport) -> Iterator[str]:
    yield f"Quality drift of {report.task}"
    for signal in report.signals:
        yield from signal_lines(signal)
    for measure, shape in report.shapes.items():
        name = measure.replace("_", " ")
        if shape is None:
            yield f"  {name}: too few calls to compare"
        else:
            state = f"moved, median {shape.now:g} instead of {shape.before:g}" if shape.moved else "as in the reference"
            yield f"  {name}: {state} (PSI beyond chance {shape.psi:.2f})"


def signal_lines(report: SignalReport) -> Iterator[str]:
    """Yield what is known about a signal: its state, and after an alarm the likely causes and what to do next."""
    seen = f"; the last of {report.last_seen}" if report.last_seen else ""
    yield f"  {report.signal.name}: {report.state} ({report.rate.evidence:.0%} of the evidence for an alarm)"
    yield f"    {report.figures}{seen}"
    if report.state != "alarm":
        return
    if report.alarm:
        yield f"    alarm {report.alarm.id} of {report.alarm.raised_at:%Y-%m-%d %H:%M} UTC: {report.alarm.summary}"
    for cause, next_step in report.likely_causes:
        yield f"    likely cause: {cause}"
        yield f"    next: {next_step}"
    if report.alarm:
        yield f"    then: uv run chassis drift close {report.alarm.id}, with --accept if the new level is to stay"


def _as_dict(report: DriftReport) -> dict[str, object]:
    return {
        "task": report.task,
        "signals": [
            {
                "signal": signal.signal.name,
                "state": signal.state,
                "evidence": round(signal.rate.evidence, 4),
                "reference": signal.rate.reference,
                "recent": signal.rate.recent,
                "since": signal.rate.since and signal.rate.since.isoformat(),
                "last_seen": signal.last_seen and signal.last_seen.isoformat(),
                "alarm": signal.alarm and signal.alarm.id,
                "causes": [{"kind": cause.kind, "details": cause.details} for cause in signal.causes],
            }
            for signal in report.signals
        ],
        "shapes": {
            measure: shape and {"moved": shape.moved, "psi": round(shape.psi, 4)}
            for measure, shape in report.shapes.items()
        },
    }
