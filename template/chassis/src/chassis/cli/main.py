"""The command `chassis`. A subcommand is imported when it runs, so `chassis --help` imports none of them."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points, version
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from chassis.cli.terminal import protected_streams
from chassis.errors import NEEDS_BACKUP, CallError, ChassisError, ConfigError, DatabaseUnavailable

USE, OPERATE = "Use the service", "Operate the service"
"""The panels of `chassis --help`."""


class Subcommand(TyperCommand):
    """What `chassis --help` shows of a command, which itself is imported only to be run.

    Args:
        panel: The title it stands under.
        name: What people type.
        target: Where it is, as `module:attribute`: a function or a Typer application.
        summary: The first paragraph of its own help.
    """

    def __init__(self, panel: str, name: str, target: str, summary: str) -> None:
        super().__init__(name, help=summary, rich_help_panel=panel)
        self._target = target

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command, and parse its arguments. The context leads to it, so that it is what runs."""
        target: Any = resolve_name(self._target)
        if isinstance(target, typer.Typer):
            command = get_group(target)
        else:
            app = typer.Typer(add_completion=False)
            app.command(self.name)(target)
            command = get_command(app)
        return command.make_context(info_name, args, parent, **extra)


ASK = "Ask a question, and show the answer, who gave it, its confidence and its cost."
TRACE = "Draw the trace of a call: every step, its duration and its cost."
FORGET = "Remove a person from the database, local traces and data sets, and list what cannot be reached from here."
BUDGET = "Show what is spent, reserved and left today and this month (UTC)."
DRIFT = "Show quality drift: whether production answers worse than it used to."
MODELS = "Switch all models off and on. While they are off, the baseline and people answer."

RUNTIME_COMMANDS = (
    Subcommand(USE, "serve", "chassis.cli.serve:serve", "Serve the task over HTTP until stopped."),
    Subcommand(USE, "ask", "chassis.cli.ask:ask", ASK),
    Subcommand(USE, "trace", "chassis.cli.trace:trace", TRACE),
    Subcommand(OPERATE, "keys", "chassis.cli.keys:app", "Create, list and revoke API keys."),
    Subcommand(OPERATE, "review", "chassis.cli.review:app", "Answer the questions in the review queue."),
    Subcommand(OPERATE, "forget", "chassis.cli.forget:forget", FORGET),
    Subcommand(OPERATE, "budget", "chassis.cli.budget:app", BUDGET),
    Subcommand(OPERATE, "drift", "chassis.cli.drift:app", DRIFT),
    Subcommand(OPERATE, "models", "chassis.cli.models:app", MODELS),
)


class Chassis(TyperGroup):
    """The command group: the subcommands of the runtime, and those that other packages offer.

    A package offers a sequence of `Subcommand` through the entry-point group `chassis.commands`. In the production
    image there is no other package.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update({str(command.name): command for command in RUNTIME_COMMANDS})

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all subcommands, those of other packages included."""
        self.commands.update(_offered())
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a subcommand; other packages are looked for only if the runtime has none of this name."""
        if cmd_name not in self.commands:
            self.commands.update(_offered())
        return super().get_command(ctx, cmd_name)


@cache
def _offered() -> dict[str, Subcommand]:
    return {str(each.name): each for entry in entry_points(group="chassis.commands") for each in entry.load()}


app = typer.Typer(cls=Chassis, no_args_is_help=True, pretty_exceptions_enable=False)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with 0 (success), 1 (failure), 2 (invalid setting or argument) or 3 (no evidence)."""
    with protected_streams():
        try:
            app(arguments)
        except ConfigError as error:
            _fail(error, code=2)
        except DatabaseUnavailable as error:
            needs_backup = error.reason in NEEDS_BACKUP
            _fail(f"{error} ({error.__cause__}). Restore a backup" if needs_backup else error, code=1)
        except CallError as error:
            _fail(error, code=1)


def _fail(error: ChassisError | str, code: int) -> None:
    with suppress(OSError):  # standard error may be closed, and the code says enough
        print(error, file=sys.stderr)
    sys.exit(code)
