"""An update as a whole: all of it on a branch of its own, or nothing at all."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis_tools.updates import copier
from chassis_tools.updates.branch import Branch, branched
from chassis_tools.updates.changes import Change
from chassis_tools.updates.drift import FOLDER
from chassis_tools.updates.git import git, names, unmerged
from chassis_tools.updates.record import FILE as RECORD
from chassis_tools.updates.record import Record, load_record
from chassis_tools.updates.source import Template, clone_of
from chassis_tools.updates.status import Upstream, upstream_of

LOCK = "uv.lock"


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did, or would have done if files were not in its way.

    Args:
        old: The release before.
        new: The release after; the same if there is no newer one.
        undo: The one line that takes it back; empty if nothing happened.
        updated: Files of the chassis that were replaced.
        merged: Files of the chassis that somebody had edited and that were replaced around the edits.
        added: New files of the chassis.
        removed: Files that the chassis no longer has.
        deleted: Files of the chassis that the team had deleted, and that stay deleted.
        kept: Paths of the chassis where the team had a file first, which stays.
        yours: How many other files the repository has; none of them was touched.
        conflicts: Edited files of the chassis that cannot be merged; if there are any, nothing was changed at all.
        changes: What behaves differently, and how to keep what was.
        steps: What is left to do, as commands: the last one adds what the first one wrote to the update.
    """

    old: str
    new: str
    undo: str = ""
    updated: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    yours: int = 0
    conflicts: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    steps: tuple[str, ...] = ()


class _Unmergeable(Exception):
    """Ends the work on the branch."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = tuple(sorted(paths))


def update(root: Path, *, discard_edits: bool = False) -> Update:
    """Bring the repository at `root` to the newest release of its template, on a branch of its own.

    Args:
        root: The folder of `.copier-answers.yml`.
        discard_edits: First put files of the chassis that were edited or deleted back as they were shipped.

    Raises:
        ConfigError: It cannot begin, or failed; then nothing has changed.
    """
    record = load_record(root)
    with clone_of(record.source) as template:
        upstream = upstream_of(root, record, template)
        if not upstream.commits_behind:
            return Update(record.version, record.version)
        try:
            with branched(root, f"chassis-{upstream.newest}") as branch:
                if discard_edits:
                    _put_back(branch, template, record.version, upstream)
                return _on(branch, template, record, upstream, merging=not discard_edits)
        except _Unmergeable as stopped:
            return Update(record.version, upstream.newest, conflicts=stopped.paths, changes=upstream.changes)


def _put_back(branch: Branch, template: Template, version: str, upstream: Upstream) -> None:
    """Commit what was shipped in place of edits, so that the edits can be read in the history."""
    for path in (*upstream.drift.edited, *upstream.drift.missing):
        file = branch.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(template.read(version, path), encoding="utf-8", newline="")
    if git(branch.root, "status", "--porcelain"):
        branch.commit(f"Put the chassis back as {version} ships it")


def _on(branch: Branch, template: Template, record: Record, upstream: Upstream, *, merging: bool) -> Update:
    """Update on the branch, commit, and say what happened to each file.

    Raises:
        _Unmergeable: An edit would be lost, or stand between markers.
    """
    root, new = branch.root, upstream.newest
    before = git(root, "rev-parse", "HEAD").strip()
    kept = _kept(root, template, record, new)
    copier.update(root, new, kept)
    edited = set(upstream.drift.edited) if merging else set[str]()
    if lost := unmerged(root) | {path for path in edited if not (root / path).exists()}:
        raise _Unmergeable({path.removesuffix(".rej") for path in lost})
    _relock(root)
    branch.commit(f"Update the chassis from {record.version} to {new}")
    done = _by_letter(root, before)
    shipped = template.chassis(str(template.commit_of(new)), kept, record.forge)
    return Update(
        old=record.version,
        new=new,
        undo=branch.undo,
        updated=tuple(path for path in done.get("M", ()) if path not in {*edited, RECORD, LOCK}),
        merged=tuple(path for path in done.get("M", ()) if path in edited),
        added=done.get("A", ()),
        removed=done.get("D", ()),
        deleted=tuple(sorted(path for path in shipped if not (root / path).exists())),
        kept=kept,
        yours=sum(path not in shipped and path != RECORD for path in names(root, "ls-files")),
        changes=upstream.changes,
        steps=("make setup check", "git add --all", "git commit --amend --no-edit"),
    )


def _kept(root: Path, template: Template, record: Record, new: str) -> tuple[str, ...]:
    """Return what the team keeps: as recorded, and where the new release would bring a file that is there already."""
    old = template.chassis(record.version, forge=record.forge)
    coming = template.chassis(str(template.commit_of(new)), forge=record.forge).keys() - old.keys()
    had = {path for path in coming if not path.startswith(FOLDER) and (root / path).exists()}
    return tuple(sorted({*record.kept, *had}))


def _relock(root: Path) -> None:
    """Let `uv.lock` follow what the new chassis needs; without a network `make setup` may have to."""
    command = ["sh", "chassis/uv", "lock", "--quiet"]
    if (root / LOCK).exists():
        subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603


def _by_letter(root: Path, before: str) -> Mapping[str, tuple[str, ...]]:
    """Return the files that differ from a commit, by git's letter: M modified, A added, D deleted."""
    pairs = names(root, "diff", "--no-renames", "--name-status", before)
    letters, paths = pairs[::2], pairs[1::2]
    return {
        letter: tuple(path for each, path in zip(letters, paths, strict=True) if each == letter)
        for letter in set(letters)
    }
