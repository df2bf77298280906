"""`chassis update`: a newer chassis, whole or not at all."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.config.project import find_project

if TYPE_CHECKING:
    from chassis_tools.updates.update import Update

FAILED = 1


def update(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Take the template's version of chassis files that were edited")
    ] = False,
) -> None:
    """Bring the newest chassis on a branch of its own; exit with 1, and change nothing, if edits are in its way."""
    # What is needed is imported before the update: afterwards these modules are other ones.
    from chassis_tools.updates.update import update as run

    found = run(find_project().root, discard_edits=discard_edits)
    data = asdict(found) | {"changes": [change.model_dump(mode="json") for change in found.changes]}
    typer.echo(json.dumps(data, indent=2) if as_json else "\n".join(lines(found)))
    raise typer.Exit(FAILED if found.conflicts else 0)


def lines(found: "Update") -> Iterator[str]:
    """Return what people read: what happened to which files, then what is left to do."""
    if found.conflicts:
        yield f"{found.new} changes files of the chassis that were edited here, and the edits do not fit:"
        yield from (f"  {path}" for path in found.conflicts)
        yield "Nothing was changed. Move the edits to files of yours (`git log -p` with a path shows them),"
        yield "then take the template's version: uv run chassis update --discard-edits"
        return
    if not found.undo:
        yield f"{found.old} is the newest release; nothing to do."
        return
    yield f"From {found.old} to {found.new}."
    yield from _listed("updated", found.updated)
    yield from _listed("new", found.added)
    yield from _listed("gone", found.removed)
    yield from _listed("merged with edits, please read", found.merged)
    yield from _listed("staying deleted", found.deleted)
    yield from _listed("yours, although the chassis has one", found.kept)
    yield f"yours, and not touched: {found.yours} files"
    for change in found.changes:
        yield f"since {change.since}: {change.what}\n  to keep what was: {change.keep}"
    yield f"next: {' && '.join(found.steps)}"
    yield f"undo: {found.undo}"


def _listed(what: str, paths: tuple[str, ...]) -> Iterator[str]:
    if paths:
        yield f"{what}: {len(paths)}"
        yield from (f"  {path}" for path in paths)
