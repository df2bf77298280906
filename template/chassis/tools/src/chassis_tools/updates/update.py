"""Updates the chassis to the newest release: completely and on a branch of its own, or not at all."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis_tools.updates.copier import ANSWERS_FILE, AnswersFile, load_answers_file, run_copier_update
from chassis_tools.updates.git import UpdateBranch, git, git_list, unmerged_files, update_branch
from chassis_tools.updates.path_ownership import CHASSIS_FOLDER
from chassis_tools.updates.status import Upstream, compare_with_template
from chassis_tools.updates.template_repository import BehaviorChange, TemplateRepository, cloned_template

LOCK_FILE = "uv.lock"


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What an update did, or which edits prevented it.

    Args:
        old: The release before.
        new: The release after; the same if there is no newer one.
        undo_command: The command that takes the update back; empty if nothing changed.
        updated: Chassis files that were replaced.
        merged: Edited chassis files in which the new release and the edits were merged.
        added: New chassis files.
        removed: Files that are no longer part of the chassis.
        still_deleted: Chassis files that the team had deleted; they stay deleted.
        kept_paths: Chassis paths where the team has a file of its own, which stays.
        untouched: How many other files the repository has; none of them was changed.
        conflicts: Edited chassis files that cannot be merged. If there are any, nothing was changed at all.
        changes: What behaves differently, and how to keep the former behavior.
        next_steps: The commands that complete the update; the last one adds what the first one wrote to the commit.
    """

    old: str
    new: str
    undo_command: str = ""
    updated: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    still_deleted: tuple[str, ...] = ()
    kept_paths: tuple[str, ...] = ()
    untouched: int = 0
    conflicts: tuple[str, ...] = ()
    changes: tuple[BehaviorChange, ...] = ()
    next_steps: tuple[str, ...] = ()


class _UpdateConflict(Exception):
    """Edits of chassis files cannot be merged; it ends the update branch."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = tuple(sorted(paths))


def update_chassis(root: Path, *, discard_edits: bool = False) -> UpdateResult:
    """Update the repository at `root` to the newest release of its template, on a branch of its own.

    Args:
        root: The repository.
        discard_edits: Restore edited and deleted chassis files to the current release first.

    Raises:
        ConfigError: The update cannot start, or it failed. Nothing has changed then.
    """
    answers_file = load_answers_file(root)
    with cloned_template(answers_file.source) as template:
        upstream = compare_with_template(root, answers_file, template)
        if not upstream.commits_behind:
            return UpdateResult(answers_file.version, answers_file.version)
        try:
            # Leaving this block with an exception, also with a conflict, restores the repository.
            with update_branch(root, f"chassis-{upstream.newest}") as branch:
                if discard_edits:
                    _restore_edited_files(branch, template, answers_file.version, upstream)
                edited = set[str]() if discard_edits else set(upstream.drift.edited)
                return _update_on(branch, template, answers_file, upstream, edited)
        except _UpdateConflict as conflict:
            return UpdateResult(
                answers_file.version, upstream.newest, conflicts=conflict.paths, changes=upstream.changes
            )


def _restore_edited_files(branch: UpdateBranch, template: TemplateRepository, version: str, upstream: Upstream) -> None:
    """Commit the files as the release ships them, so that the edits can still be read in the history."""
    for path in (*upstream.drift.edited, *upstream.drift.missing):
        file = branch.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(template.read(version, path), encoding="utf-8", newline="")
    if git(branch.root, "status", "--porcelain"):
        branch.commit(f"Restore the chassis files of {version}")


def _update_on(
    branch: UpdateBranch, template: TemplateRepository, answers_file: AnswersFile, upstream: Upstream, edited: set[str]
) -> UpdateResult:
    """Update, commit, and report what happened to each file.

    Raises:
        _UpdateConflict: An edit of the team would be lost, or would end up between conflict markers.
    """
    root, new = branch.root, upstream.newest
    before = git(root, "rev-parse", "HEAD").strip()
    kept_paths = _kept_paths(root, template, answers_file, new)
    run_copier_update(root, new, kept_paths)
    # Copier deletes a file that left the template even if the team had edited it, so these count as conflicts too.
    if conflicts := unmerged_files(root) | {path for path in edited if not (root / path).exists()}:
        raise _UpdateConflict({path.removesuffix(".rej") for path in conflicts})
    _update_lock_file(root)
    branch.commit(f"Update the chassis from {answers_file.version} to {new}")
    changed = _changed_files(root, before)
    shipped = template.chassis_files(str(template.commit_of(new)), kept_paths, answers_file.forge)
    return UpdateResult(
        old=answers_file.version,
        new=new,
        undo_command=branch.undo_command,
        updated=tuple(path for path in changed["M"] if path not in {*edited, ANSWERS_FILE, LOCK_FILE}),
        merged=tuple(path for path in changed["M"] if path in edited),
        added=changed["A"],
        removed=changed["D"],
        # Copier leaves deletions alone because it applies the team's diff, which contains them, to the new release.
        still_deleted=tuple(sorted(path for path in shipped if not (root / path).exists())),
        kept_paths=kept_paths,
        untouched=sum(path not in shipped and path != ANSWERS_FILE for path in git_list(root, "ls-files")),
        changes=upstream.changes,
        next_steps=("make setup check", "git add --all", "git commit --amend --no-edit"),
    )


def _kept_paths(root: Path, template: TemplateRepository, answers_file: AnswersFile, new: str) -> tuple[str, ...]:
    """Return the recorded kept paths, and those where the new release would add a file that the team already has."""
    old_files = template.chassis_files(answers_file.version, forge=answers_file.forge)
    new_files = template.chassis_files(str(template.commit_of(new)), forge=answers_file.forge)
    introduced = (path for path in new_files.keys() - old_files.keys() if not path.startswith(CHASSIS_FOLDER))
    return tuple(sorted({*answers_file.kept_paths, *(path for path in introduced if (root / path).exists())}))


def _update_lock_file(root: Path) -> None:
    """Update `uv.lock` to what the new chassis requires; if that fails, `make setup` reports why."""
    if (root / LOCK_FILE).exists():
        command = ["sh", "chassis/uv", "lock", "--quiet"]
        subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603


def _changed_files(root: Path, before: str) -> Mapping[str, tuple[str, ...]]:
    """Return the paths that differ from a commit, by git's status letter: M modified, A added, D deleted."""
    items = git_list(root, "diff", "--no-renames", "--name-status", before)
    entries = list(zip(items[::2], items[1::2], strict=True))
    return {letter: tuple(path for status, path in entries if status == letter) for letter in "MAD"}
