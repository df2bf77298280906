"""`chassis status`, `verify`, `update` and `adopt`: the repository and the template that it was made from."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chassis.cli.terminal import AsJson, print_json
from chassis.config.project import find_project

if TYPE_CHECKING:
    from chassis_tools.updates.status import RepositoryStatus, Upstream
    from chassis_tools.updates.template_repository import BehaviorChange, ChangelogEntry
    from chassis_tools.updates.update import UpdateResult

FAILED, UNKNOWN = 1, 3
NAMED_FILES = 8
"""How many updated files `chassis update` names; it only counts more."""


def show_status(
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not contact the template's repository")] = False,
    newest: Annotated[bool, typer.Option("--newest", help="Also exit with 1 if there is a newer release")] = False,
) -> None:
    """Show the release, newer releases and edited chassis files.

    Exits with 1 if something has to be fixed. With --newest, exits with 3 if the template cannot be reached.
    """
    from chassis_tools.updates.status import repository_status

    status = repository_status(find_project(), offline=offline)
    if as_json:
        print_json(_status_data(status))
    else:
        typer.echo("\n".join(_status_lines(status)))
    if newest and status.ok and status.behind is None:
        raise typer.Exit(UNKNOWN)
    raise typer.Exit(0 if status.ok and not (newest and status.behind) else FAILED)


def verify(
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Exit with 0 if the template cannot be reached")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every file of the chassis with the release it came from. Exit with 1 if one was edited, 3 if unknown."""
    from chassis.errors import ConfigError
    from chassis_tools.updates.status import compare_with_release

    try:
        comparison = compare_with_release(find_project().root)
    except ConfigError as error:
        typer.echo(f"The chassis was not compared with its release: {error}", err=True)
        if as_json:
            print_json({"version": None, "files": None, "differing": None, "error": str(error)})
        raise typer.Exit(0 if allow_unknown else UNKNOWN) from None
    drift = comparison.drift
    differing = (*drift.edited, *drift.missing, *drift.added)
    if as_json:
        print_json({"version": comparison.version, "files": comparison.files, "differing": differing, "error": None})
        raise typer.Exit(FAILED if differing else 0)
    for path in differing:
        typer.echo(f"{path}: differs from release {comparison.version} of the template", err=True)
    if drift:
        typer.echo(
            "Restore these files, or move the changes to files of your own; `chassis status` says more", err=True
        )
        raise typer.Exit(FAILED)
    typer.echo(f"{comparison.files} chassis files equal release {comparison.version}")


def update(
    as_json: AsJson = False,
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Replace edited chassis files with the template's version")
    ] = False,
) -> None:
    """Update the chassis to the newest release, on a branch of its own.

    Exits with 1 and changes nothing if edited chassis files cannot be merged.
    """
    # Everything is imported before the update, which replaces the files of this package.
    from chassis_tools.updates.update import run_newest_updater, update_chassis

    root = find_project().root
    options = [*(["--json"] if as_json else []), *(["--discard-edits"] if discard_edits else [])]
    if newest := run_newest_updater(root, ["update", *options]):
        typer.echo(newest.stdout, nl=False)
        typer.echo(newest.stderr, nl=False, err=True)
        raise typer.Exit(newest.returncode)
    result = update_chassis(root, discard_edits=discard_edits)
    if as_json:
        print_json(result)
    else:
        typer.echo("\n".join(_update_lines(result)))
    raise typer.Exit(FAILED if result.conflicts else 0)


def adopt(as_json: AsJson = False) -> None:
    """Complete the adoption of the chassis by an existing repository: show which lines are missing.

    Run it after `copier copy`, as often as you like. It records which of your files stay in place of the chassis files.
    """
    from chassis_tools.updates.adopt import adopt_chassis

    result = adopt_chassis(Path.cwd())
    if as_json:
        print_json(result)
        return
    for path in result.kept_paths:
        typer.echo(f"{path} stays yours; updates do not touch it")
    for title, overlaps in (("Change first:", result.clashes), ("Files that affect each other:", result.overlaps)):
        if overlaps:
            typer.echo(f"\n{title}\n")
            typer.echo("\n".join(f"    {each.file}: {each.effect}. {each.remedy}" for each in overlaps))
    for missing in result.missing:
        typer.echo(f"\nAdd to {missing.file}:\n")
        typer.echo("\n".join(f"    {line}".rstrip() for line in missing.lines.splitlines()))
    if result.clashes or result.missing:
        typer.echo("\nThen run this again, until nothing is missing: make -f chassis/tasks.mk adopt")
    else:
        typer.echo(f"\nNothing is missing. Run: {result.next_command}")


def _status_data(status: "RepositoryStatus") -> dict[str, Any]:
    """Return the status as JSON types; what only the template can tell is null if it was not reached."""
    upstream = status.upstream
    return {
        "source": status.answers_file.source,
        "version": status.answers_file.version,
        "newest": upstream.newest if upstream else None,
        "behind": status.behind,
        "commits_behind": upstream.commits_behind if upstream else None,
        "edited": upstream.drift.edited if upstream else None,
        "missing": upstream.drift.missing if upstream else None,
        "added": upstream.drift.added if upstream else None,
        "untracked": upstream.drift.untracked if upstream else None,
        "changes": upstream.changes if upstream else None,
        "news": upstream.news if upstream else None,
        "upstream_error": status.upstream_error,
        "unmerged": status.unmerged,
        "out_of_date": status.out_of_date,
        "retired": status.retired,
        "config_errors": status.config_errors,
        "ok": status.ok,
    }


def _status_lines(status: "RepositoryStatus") -> Iterator[str]:
    yield f"template   {status.answers_file.source}"
    yield f"release    {status.answers_file.version}"
    if status.upstream is None:
        yield f"newest     unknown: {status.upstream_error}"
    else:
        yield from _upstream_lines(status.upstream)
    yield from (f"{path}: unresolved conflict; edit the file, then `git add` it" for path in status.unmerged)
    yield from (f"{path}: out of date; run `uv run chassis sync`" for path in status.out_of_date)
    yield from (f"{path}: no longer used by any release; you can delete it" for path in status.retired)
    yield from status.config_errors
    if status.ok:
        unknown = "" if status.upstream else " Whether chassis files were edited is unknown."
        yield f"Everything is in order.{unknown}"


def _upstream_lines(upstream: "Upstream") -> Iterator[str]:
    commits, drift = upstream.commits_behind, upstream.drift
    plural = "" if commits == 1 else "s"
    behind = f"{commits} commit{plural} ahead; run `uv run chassis update`" if commits else "up to date"
    yield f"newest     {upstream.newest}, {behind}"
    yield from (f"{path}: edited chassis file; an update would have to merge it" for path in drift.edited)
    yield from (f"{path}: missing chassis file; restore it: {_restore_command(path)}" for path in drift.missing)
    yield from (f"{path}: not a chassis file; move it out of chassis/" for path in drift.added)
    for path, rule in drift.untracked.items():
        cause = f"ignored because of {rule}" if rule else "not in git"
        yield f"{path}: {cause}; add it: git add --force {shlex.quote(path)}"
    yield from _news_lines(upstream.news)
    yield from _change_lines(upstream.changes)


def _restore_command(path: str) -> str:
    """Return the command that restores a file, whether or not its deletion was committed."""
    quoted = shlex.quote(path)
    return f'git restore --source="$(git log -1 --diff-filter=AM --format=%h -- {quoted})" {quoted}'


def _update_lines(result: "UpdateResult") -> Iterator[str]:
    if result.conflicts:
        yield f"{result.new} changes chassis files that were edited or added here, and these edits cannot be merged:"
        yield from (f"  {path}" for path in result.conflicts)
        yield "Nothing was changed. Move the edits to files of your own (`git log -p PATH` shows them),"
        yield "then discard them here: uv run chassis update --discard-edits"
        return
    if not result.undo_command:
        yield f"{result.old} is the newest release. There is nothing to update."
        return
    yield f"Updated the chassis from {result.old} to {result.new}."
    yield from _news_lines(result.news)
    yield from _change_lines(result.changes)
    yield from _summary("updated", result.updated)
    yield from _summary("added", result.added)
    yield from _summary("removed", result.removed)
    yield from _listing("merged with your edits, please review", result.merged)
    yield from _listing("deleted by you, not restored", result.still_deleted)
    yield from _listing("kept, because you had this file first", result.kept_paths)
    yield f"your own files, unchanged: {result.untouched}"
    yield f"next: {' && '.join(result.next_steps)}"
    yield f"undo: {result.undo_command}"


def _listing(title: str, paths: tuple[str, ...]) -> Iterator[str]:
    if paths:
        yield f"{title}: {len(paths)}"
        yield from (f"  {path}" for path in paths)


def _summary(title: str, paths: tuple[str, ...]) -> Iterator[str]:
    """Name a few files, and count many, because what is new matters more than where."""
    if len(paths) <= NAMED_FILES:
        yield from _listing(title, paths)
    else:
        yield f"{title}: {len(paths)} (git show --stat lists them)"


def _news_lines(news: "Iterable[ChangelogEntry]") -> Iterator[str]:
    return (f"new in {entry.since}: {entry.text}" for entry in news)


def _change_lines(changes: "Iterable[BehaviorChange]") -> Iterator[str]:
    return (f"since {change.since}: {change.what}\n  to keep the former behavior: {change.keep}" for change in changes)
