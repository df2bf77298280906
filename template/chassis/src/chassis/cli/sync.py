"""`chassis sync`: the files that follow from `ownership.toml`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from chassis.constraints import load_constraints
from chassis.owners import derive, ownership
from chassis.owners import sync as derived
from chassis.project import find_project


def sync(
    check: Annotated[bool, typer.Option("--check", help="Change nothing, and fail if a file differs")] = False,
) -> None:
    """Write CODEOWNERS and catalog-info.yaml as ownership.toml says; refuse a constraints.toml that cannot be meant."""
    project = find_project()
    load_constraints(project.root)  # what it says must be meant, even where nothing is derived from it yet
    owned = ownership.load_ownership(project.root)
    for role in owned.due_reviews(datetime.now(UTC).date()):
        typer.echo(f"{ownership.FILE}: roles.{role}.review_by has come; confirm its team and move the date", err=True)
    if not check:
        for path in derived.write(project, owned):
            typer.echo(f"{path} written")
        return
    drifted = derived.drifted(project, owned)
    for path in drifted:
        typer.echo(f"{path} is not what {ownership.FILE} says; run `{derive.COMMAND}`", err=True)
    raise typer.Exit(1 if drifted else 0)
