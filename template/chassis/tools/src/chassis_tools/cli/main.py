"""Adds the tools' subcommands to `chassis`."""

import typer

from chassis_tools.cli import adopt, evals, local_model, ready, signoffs, status, sync, update

EVALUATION, TEMPLATE = "Evaluate and govern", "Follow the template"


def register(app: typer.Typer) -> None:
    """Add every subcommand of this package to the application of the runtime."""
    app.command(rich_help_panel=EVALUATION)(local_model.local_model)
    app.add_typer(evals.app, name="evals", rich_help_panel=EVALUATION)
    app.command(rich_help_panel=EVALUATION)(ready.ready)
    app.add_typer(signoffs.app, name="signoffs", rich_help_panel=EVALUATION)
    app.command(rich_help_panel=TEMPLATE)(sync.sync)
    app.command(rich_help_panel=TEMPLATE)(status.status)
    app.command(rich_help_panel=TEMPLATE)(update.update)
    app.command(rich_help_panel=TEMPLATE)(adopt.adopt)
