"""`chassis models`: takes every model out, in all replicas at once, and puts them back."""

import asyncio
import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.database import open_project_database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chassis.store.kill_switch import KillSwitch

By = Annotated[str | None, typer.Option(help="Who does it; you, if not given.")]
Reason = Annotated[str | None, typer.Option(help="Why, for whoever asks `chassis models status`.")]

app = typer.Typer(
    help="Switch all models off and on; meanwhile the baseline and the desk answer.", no_args_is_help=True
)


@app.command()
def off(by: By = None, reason: Reason = None) -> None:
    """Take every model out within one second, in all replicas."""
    _with_switch(lambda switch: switch.turn_off(by or getpass.getuser(), reason))
    typer.echo("The models are off; the baseline and the desk answer. `uv run chassis models on` puts them back.")


@app.command()
def on() -> None:
    """Put the models back."""
    _with_switch(lambda switch: switch.turn_on())
    typer.echo("The models are on.")


@app.command()
def status() -> None:
    """Show whether the models are on, and who switched them off if they are not."""
    from chassis.config.project import find_project
    from chassis.config.settings import load_settings

    if found := _with_switch(lambda switch: switch.status()):
        why = f": {found.reason}" if found.reason else ""
        typer.echo(f"The models are off since {found.since:%Y-%m-%d %H:%M:%S} UTC, by {found.by}{why}")
    elif load_settings(find_project().root).models_off:
        typer.echo("The models are off: MODELS_OFF is set in this environment.")
    else:
        typer.echo("The models are on.")


def _with_switch[T](act: "Callable[[KillSwitch], Awaitable[T]]") -> T:
    from chassis.config.project import find_project
    from chassis.store.kill_switch import KillSwitch
    from chassis.telemetry.instruments import NO_INSTRUMENTS

    async def run() -> T:
        async with open_project_database(find_project()) as database:
            return await act(KillSwitch(database, NO_INSTRUMENTS))

    return asyncio.run(run())
