"""The command `chassis`. A command imports what is slow to import, above all the team's task, only when it runs."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from chassis.cli import ask, budget, keys, models, review, serve, trace
from chassis.cli.terminal import protected_streams
from chassis.errors import CallError, ChassisError, ConfigError

USE, OPERATE = "Use the service", "Operate the service"
COMMANDS = "chassis.commands"
"""The entry-point group through which other packages add subcommands. An entry point is a function that takes `app`."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _show_version(requested: bool) -> None:
    if requested:
        print(f"chassis {version('ai-service-chassis')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version of the chassis.")
]


@app.callback()
def chassis(_version: Version = False) -> None:
    """Use and operate the service of this repository."""


app.command(rich_help_panel=USE)(serve.serve)
app.command(rich_help_panel=USE)(ask.ask)
app.command(rich_help_panel=USE)(trace.trace)
app.add_typer(keys.app, name="keys", rich_help_panel=OPERATE)
app.add_typer(review.app, name="review", rich_help_panel=OPERATE)
app.add_typer(budget.app, name="budget", rich_help_panel=OPERATE)
app.add_typer(models.app, name="models", rich_help_panel=OPERATE)
# In the production image there is no other package, so `chassis --help` lists the commands of the runtime only.
for command in entry_points(group=COMMANDS):
    command.load()(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with 0 (success), 1 (failure), 2 (invalid setting or argument) or 3 (no evidence)."""
    with protected_streams():
        try:
            app(arguments)
        except ConfigError as error:
            _fail(error, code=2)
        except CallError as error:
            _fail(error, code=1)


def _fail(error: ChassisError, code: int) -> None:
    with suppress(OSError):  # standard error may be closed, and the code says enough
        print(error, file=sys.stderr)
    sys.exit(code)
