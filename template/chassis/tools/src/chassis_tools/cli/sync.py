"""`chassis sync`: the files that follow from the team's decisions."""

from typing import Annotated

import typer

from chassis.clock import now
from chassis.config.ownership import FILE
from chassis.config.project import find_project
from chassis_tools.governance import sync as derived
from chassis_tools.governance.decisions import load_decisions
from chassis_tools.governance.registry import COMMAND


def sync(
    check: Annotated[bool, typer.Option("--check", help="Change nothing, and fail if a file differs")] = False,
) -> None:
    """Write the files that follow from constraints.toml, ownership.toml and pyproject.toml, such as CODEOWNERS."""
    decisions = load_decisions(find_project())
    today = now().date()
    decisions.ownership.check_reviews(today, decisions.constraints.risk.tier)
    for role in decisions.ownership.due_reviews(today):
        typer.echo(f"{FILE}: roles.{role}.review_by has come; confirm its team and move the date", err=True)
    if not check:
        for drift in derived.write(decisions):
            typer.echo(f"{drift.path} {'removed' if drift.text is None else 'written'}")
        return
    drifts = derived.drifts(decisions)
    for drift in drifts:
        typer.echo(f"{drift.path} is {drift.problem}; run `{COMMAND}`", err=True)
    raise typer.Exit(1 if drifts else 0)
