"""`chassis models`: the kill switch, which takes all models out of service at once."""

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from chassis.cli.terminal import AsJson, print_json
from chassis.config.project import find_project, load_settings
from chassis.store.kill_switch import KillSwitch
from chassis.store.opening import run_with_database
from chassis.telemetry.instruments import NO_INSTRUMENTS

SwitchedOffBy = Annotated[str | None, typer.Option(help="Who switches them off; you by default.")]
Reason = Annotated[str | None, typer.Option(help="Why; `chassis models status` shows it.")]

app = typer.Typer(
    help="Switch all models off and on. While they are off, the baseline and people answer.", no_args_is_help=True
)


@app.command()
def off(by: SwitchedOffBy = None, reason: Reason = None) -> None:
    """Switch all models off, in all replicas within one second."""
    _with_kill_switch(lambda switch: switch.turn_off(by or getpass.getuser(), reason))
    typer.echo("The models are off. The baseline and people answer until `uv run chassis models on`.")


@app.command()
def on() -> None:
    """Switch all models on again."""
    _with_kill_switch(lambda switch: switch.turn_on())
    typer.echo("The models are on.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show whether the models are on, or who switched them off."""
    state = _with_kill_switch(lambda switch: switch.status())
    by_variable = load_settings(find_project().root).models_off
    if as_json:
        print_json({"off": bool(state) or by_variable, "kill_switch": state, "CHASSIS_MODELS_OFF": by_variable})
    elif state:
        reason = f": {state.reason}" if state.reason else ""
        typer.echo(f"The models have been off since {state.since:%Y-%m-%d %H:%M:%S} UTC, by {state.by}{reason}")
    elif by_variable:
        typer.echo("The models are off: CHASSIS_MODELS_OFF is set in this environment.")
    else:
        typer.echo("The models are on.")


def _with_kill_switch[T](act: Callable[[KillSwitch], Awaitable[T]]) -> T:
    return run_with_database(find_project(), lambda database: act(KillSwitch(database, NO_INSTRUMENTS)))
