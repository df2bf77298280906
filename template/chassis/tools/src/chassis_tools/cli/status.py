"""`chassis status`: how this repository stands to its template."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chassis.config.project import find_project

if TYPE_CHECKING:
    from chassis_tools.updates.status import Status, Upstream

FAILED, NO_EVIDENCE = 1, 3


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the template")] = False,
    newest: Annotated[bool, typer.Option("--newest", help="Fail too if there is a newer release")] = False,
) -> None:
    """Show release, newer releases, edited chassis files and what is unfinished; exit with 1 if something is amiss."""
    from chassis_tools.updates.status import status_of

    found = status_of(find_project(), offline=offline)
    typer.echo(json.dumps(as_data(found), indent=2) if as_json else "\n".join(lines(found)))
    if newest and found.sound and found.behind is None:
        raise typer.Exit(NO_EVIDENCE)
    raise typer.Exit(0 if found.sound and not (newest and found.behind) else FAILED)


def as_data(found: "Status") -> dict[str, Any]:
    """Return the status as JSON's types; what only the template could tell is `null` if it was not asked."""
    upstream: dict[str, Any] = asdict(found.upstream) if found.upstream else {}
    drift: dict[str, Any] = upstream.get("drift", {})
    return {
        "source": found.record.source,
        "version": found.record.version,
        "newest": upstream.get("newest"),
        "behind": found.behind,
        "commits_behind": upstream.get("commits_behind"),
        "edited": drift.get("edited"),
        "missing": drift.get("missing"),
        "added": drift.get("added"),
        "changes": [change.model_dump(mode="json") for change in found.upstream.changes] if found.upstream else None,
        "unknown": found.unknown,
        "unmerged": found.unmerged,
        "stale": found.stale,
        "retired": found.retired,
        "misfits": found.misfits,
        "sound": found.sound,
    }


def lines(found: "Status") -> Iterator[str]:
    """Return what people read: the release first, then what is amiss, each with the remedy."""
    yield f"template   {found.record.source}"
    yield f"release    {found.record.version}"
    if found.upstream is None:
        yield f"newest     unknown: {found.unknown}"
    else:
        yield from _upstream_lines(found.upstream)
    yield from _each(found.unmerged, "has a merge that nobody finished; edit it, then `git add` it")
    yield from _each(found.stale, "is not what your decisions say; run `uv run chassis sync`")
    yield from _each(found.retired, "is used by no release any more; delete it when you like")
    yield from found.misfits
    if found.sound:
        yield (
            "Nothing is amiss."
            if found.upstream
            else "Nothing is amiss here; whether the chassis was edited is unknown."
        )


def _upstream_lines(upstream: "Upstream") -> Iterator[str]:
    behind = upstream.commits_behind
    plural = "" if behind == 1 else "s"
    ahead = f", {behind} commit{plural} ahead; `uv run chassis update` brings it" if behind else ": this one"
    yield f"newest     {upstream.newest}{ahead}"
    yield from _each(upstream.drift.edited, "is the chassis', and was edited; an update would have to merge it")
    yield from _each(upstream.drift.missing, "is the chassis', and is gone; `git checkout` a commit that has it")
    yield from _each(upstream.drift.added, "lies in the chassis' folder, and is not the chassis'; move it out")
    for change in upstream.changes:
        yield f"since {change.since}: {change.what}\n  to keep what was: {change.keep}"


def _each(paths: tuple[str, ...], what: str) -> Iterator[str]:
    return (f"{path} {what}" for path in paths)
