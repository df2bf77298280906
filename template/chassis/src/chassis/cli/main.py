"""Every command in one place. Whatever is slow to import, the task above all, is imported when a command needs it."""

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from chassis.cli import ask, budget, keys, models, review, serve, trace
from chassis.errors import CallError, ChassisError, ConfigError

USE, OPERATE = "Use the service", "Operate the service"
COMMANDS = "chassis.commands"
"""The entry-point group through which another package adds subcommands: functions that take the application."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"chassis {version('ai-service-chassis')}")
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
app.add_typer(keys.app, name="keys", rich_help_panel=OPERATE)
app.add_typer(review.app, name="review", rich_help_panel=OPERATE)
app.add_typer(budget.app, name="budget", rich_help_panel=OPERATE)
app.add_typer(models.app, name="models", rich_help_panel=OPERATE)
for command in entry_points(group=COMMANDS):
    command.load()(app)


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
