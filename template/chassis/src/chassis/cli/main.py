"""Every command in one place. Whatever is slow to import, the task above all, is imported when a command needs it."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from chassis.cli import (
    adopt,
    ask,
    budget,
    desk,
    evals,
    keys,
    local_model,
    models,
    ready,
    serve,
    signoffs,
    status,
    sync,
    trace,
    update,
)
from chassis.errors import CallError, ChassisError, ConfigError

USE, PEOPLE, CARE = "Use the service", "Callers and people", "Take care of it"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"chassis {version('chassis')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version of the chassis")
]


@app.callback()
def chassis(_version: Version = False) -> None:
    """Use, watch and take care of the service of this repository."""


app.command(rich_help_panel=USE)(serve.serve)
app.command(rich_help_panel=USE)(ask.ask)
app.command(rich_help_panel=USE)(trace.trace)
app.command(rich_help_panel=USE)(local_model.local_model)
app.add_typer(keys.app, name="keys", rich_help_panel=PEOPLE)
app.add_typer(desk.app, name="desk", rich_help_panel=PEOPLE)
app.add_typer(evals.app, name="evals", rich_help_panel=CARE)
app.add_typer(budget.app, name="budget", rich_help_panel=CARE)
app.add_typer(models.app, name="models", rich_help_panel=CARE)
app.command(rich_help_panel=CARE)(sync.sync)
app.command(rich_help_panel=CARE)(ready.ready)
app.add_typer(signoffs.app, name="signoffs", rich_help_panel=CARE)
app.command(rich_help_panel=CARE)(status.status)
app.command(rich_help_panel=CARE)(update.update)
app.command(rich_help_panel=CARE)(adopt.adopt)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 it failed, 2 a setting or an argument is wrong, 3 there is no evidence."""
    try:
        app(arguments)
    except ConfigError as error:
        _end(error, code=2)
    except CallError as error:
        _end(error, code=1)


def _end(error: ChassisError, code: int) -> None:
    print(error, file=sys.stderr)
    sys.exit(code)
