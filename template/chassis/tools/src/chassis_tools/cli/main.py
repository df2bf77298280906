"""Registers the subcommands of the tools with the `chassis` command of the runtime."""

import typer

from chassis_tools.cli import cases, evals, governance, local_model, measure_searches, ready, template

EVALUATE, TEMPLATE = "Evaluate and govern", "Follow the template"
"""The panels of `chassis --help`."""


def register(app: typer.Typer) -> None:
    """Add every subcommand of this package; the entry point of the group `chassis.commands`."""
    app.command(rich_help_panel=EVALUATE)(local_model.local_model)
    evals.app.command("search")(measure_searches.measure_searches)
    app.add_typer(evals.app, name="evals", rich_help_panel=EVALUATE)
    app.add_typer(cases.app, name="cases", rich_help_panel=EVALUATE)
    app.command(rich_help_panel=EVALUATE)(ready.ready)
    app.add_typer(governance.signoffs, name="signoffs", rich_help_panel=EVALUATE)
    app.command(rich_help_panel=TEMPLATE)(governance.sync)
    app.command("status", rich_help_panel=TEMPLATE)(template.show_status)
    app.command(rich_help_panel=TEMPLATE)(template.verify)
    app.command(rich_help_panel=TEMPLATE)(template.update)
    app.command(rich_help_panel=TEMPLATE)(template.adopt)
