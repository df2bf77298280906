"""Updates the chassis to the newest release: completely and on a branch of its own, or not at all.

The updater of the newest release runs, because it knows what the files of that release need.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chassis.errors import ConfigError
from chassis_tools.updates.copier import AnswersFile, load_answers_file, run_copier_update
from chassis_tools.updates.git import UpdateBranch, git, git_list, run_program, unmerged_files, update_branch
from chassis_tools.updates.path_ownership import CHASSIS_FOLDER, ShippedFile, lexists, linked_part
from chassis_tools.updates.status import Upstream, compare_with_template
from chassis_tools.updates.template_repository import (
    TEMPLATE_FOLDER,
    BehaviorChange,
    ChangelogEntry,
    TemplateRepository,
    cloned_template,
)

LOCK_FILE = "uv.lock"
LOCK_TIMEOUT_SECONDS = 600.0
REWRITING_ATTRIBUTES = ("filter", "ident", "working-tree-encoding")
"""Attributes with which git stores other content than the working tree has, so that Copier would see edits."""
RESTORE_MESSAGE = "Restore the chassis files of"


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
        conflicts: Edited and added chassis files that cannot be merged. If there are any, nothing was changed at all.
        changes: What behaves differently, and how to keep the former behavior.
        news: What else is new, from the changelog.
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
    news: tuple[ChangelogEntry, ...] = ()
    next_steps: tuple[str, ...] = ()


class _UpdateConflict(Exception):
    """Edits of chassis files cannot be merged; it ends the update branch."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = tuple(sorted(paths))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an update is going to do.

    Args:
        root: The folder of the service.
        template: A clone of the template.
        answers_file: The record of the current release.
        upstream: The comparison with the newest release.
        kept_paths: The recorded kept paths, and those where the new release would add a file that the team already has.
        shipped: The chassis files of the new release.
        in_the_way: Links in place of chassis files, and files in `chassis/` where the new release has other ones.
    """

    root: Path
    template: TemplateRepository
    answers_file: AnswersFile
    upstream: Upstream
    kept_paths: tuple[str, ...]
    shipped: Mapping[str, ShippedFile]
    in_the_way: tuple[str, ...]


def update_chassis(root: Path, *, discard_edits: bool = False) -> UpdateResult:
    """Update the service at `root` to the newest release of its template, on a branch of its own.

    Args:
        root: The folder of the service: a repository, or a folder in one.
        discard_edits: Restore edited and deleted chassis files to the current release first, and remove added ones that
            are in the way.

    Raises:
        ConfigError: The update cannot start, or it failed. Nothing has changed then.
    """
    answers_file = load_answers_file(root)
    with cloned_template(answers_file.source) as template:
        upstream = compare_with_template(root, answers_file, template)
        if not upstream.commits_behind:
            return UpdateResult(answers_file.version, answers_file.version)
        plan = _plan(root, template, answers_file, upstream)
        try:
            # Leaving this block with an exception, also with a conflict, restores the repository.
            with update_branch(root, _branch_name(root, upstream.newest), (*plan.shipped, answers_file.path)) as branch:
                (_discard_edits if discard_edits else _require_mergeable)(branch, plan)
                return _update_on(branch, plan, set() if discard_edits else set(upstream.drift.edited))
        except _UpdateConflict as conflict:
            return UpdateResult(
                answers_file.version, upstream.newest, conflicts=conflict.paths, changes=upstream.changes
            )


def _branch_name(root: Path, release: str) -> str:
    """Return the name of the branch; in a repository of several services each has its own."""
    folder = git(root, "rev-parse", "--show-prefix").strip().strip("/")
    return f"chassis-{release}" + (f"-{folder.replace('/', '-')}" if folder else "")


def _plan(root: Path, template: TemplateRepository, answers_file: AnswersFile, upstream: Upstream) -> _Plan:
    """Return what an update is going to do.

    Raises:
        ConfigError: The update would write where it must not, or git would hide from Copier what it writes.
    """
    new = str(template.commit_of(upstream.newest))
    old_files = template.chassis_files(answers_file.version, forge=answers_file.forge)
    new_files = template.chassis_files(new, forge=answers_file.forge)
    # `lexists` also sees a broken link, which belongs to the team as a file does.
    introduced = {path for path in new_files.keys() - old_files.keys() if lexists(root / path)}
    # Outside `chassis/` the team's file wins and stays theirs. Inside, it would stand where a module of ours belongs.
    outside = {path for path in introduced if not path.startswith(CHASSIS_FOLDER)}
    kept_paths = tuple(sorted({*answers_file.kept_paths, *outside}))
    shipped = {path: file for path, file in new_files.items() if path not in kept_paths}
    written = {*shipped, *(old_files.keys() - {*kept_paths})}
    _require_plain_paths(root, {*written, answers_file.path})
    _require_tracked(root, upstream, {answers_file.path, *(introduced - outside)})
    _require_plain_attributes(root, written)
    links = {path for path in written if (root / path).is_symlink()}
    return _Plan(
        root, template, answers_file, upstream, kept_paths, shipped, tuple(sorted(links | (introduced - outside)))
    )


def _require_plain_paths(root: Path, paths: Collection[str]) -> None:
    """Refuse links to folders, and folders in place of files and the other way around, because both are the team's."""
    for path in sorted(paths):
        remedy = "Move it away and commit, then try again"
        for folder in reversed(PurePosixPath(path).parents[:-1]):
            if (root / folder).is_symlink():
                problem = "this is a symbolic link, and an update would write into the folder that it leads to"
                raise ConfigError(str(folder), problem, remedy)
            if (root / folder).is_file():
                raise ConfigError(str(folder), "this is a file, where the chassis has a folder", remedy)
        if (root / path).is_dir() and linked_part(root, path) is None:
            raise ConfigError(path, "this is a folder, where the chassis has a file", remedy)


def _require_tracked(root: Path, upstream: Upstream, others: Collection[str]) -> None:
    """Refuse files that git does not know: Copier takes them for deleted, and nothing could bring them back."""
    tracked = set(git_list(root, "ls-files"))
    if untracked := sorted(path for path in others if path not in tracked):
        problem = "git does not know this file, and an update would overwrite it"
        raise ConfigError(untracked[0], problem, f"Run `git add --force {untracked[0]}` and commit, or move it away")
    for path, rule in upstream.drift.untracked.items():
        cause = f"because of {rule}" if rule else "because it was never added"
        more = len(upstream.drift.untracked) - 1
        others = f", nor are {more} more" if more else ""
        remedy = "Run `git add --force` for each file that `chassis status` names, and commit"
        raise ConfigError(path, f"this chassis file is not in git ({cause}){others}", remedy)


def _require_plain_attributes(root: Path, paths: Collection[str]) -> None:
    items = git_list(root, "check-attr", "--stdin", *REWRITING_ATTRIBUTES, stdin=sorted(paths))
    rows = zip(items[::3], items[1::3], items[2::3], strict=True)
    if rewritten := [row for row in rows if row[2] not in {"unspecified", "unset"}]:
        path, attribute, value = rewritten[0]
        problem = f"git attributes give it {attribute}={value}, so git stores other content than the chassis has"
        lines = ", ".join(f"`/{path} -{attribute}`" for path, attribute, _ in rewritten)
        remedy = f"Add at the end of .gitattributes: {lines}. Then run `git add --renormalize .` and commit"
        raise ConfigError(path, problem, remedy)


def _require_mergeable(_branch: UpdateBranch, plan: _Plan) -> None:
    if plan.in_the_way:
        raise _UpdateConflict({*plan.in_the_way, *plan.upstream.drift.edited})


def _discard_edits(branch: UpdateBranch, plan: _Plan) -> None:
    """Commit the files as the current release ships them, so that the edits can still be read in the history."""
    version, drift = plan.answers_file.version, plan.upstream.drift
    for path in plan.in_the_way:
        (branch.root / path).unlink()
    for path in (*drift.edited, *drift.missing):
        _write(branch.root / path, plan.template.read(version, path), executable=_is_executable(plan, path))
    if git(branch.root, "status", "--porcelain"):
        branch.commit(f"{RESTORE_MESSAGE} {version}")


def _write(file: Path, content: str, *, executable: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Removed first: writing through a link would change the file that it leads to.
    file.unlink(missing_ok=True)
    file.write_bytes(content.encode(errors="surrogateescape"))
    if executable:
        file.chmod(0o755)


def _is_executable(plan: _Plan, path: str) -> bool:
    old_files = plan.template.chassis_files(plan.answers_file.version, forge=plan.answers_file.forge)
    return old_files[path].executable


def _update_on(branch: UpdateBranch, plan: _Plan, edited: set[str]) -> UpdateResult:
    """Update, commit, and report what happened to each file.

    Raises:
        _UpdateConflict: An edit of the team would be lost, or would end up between conflict markers.
    """
    root, answers_file, new = branch.root, plan.answers_file, plan.upstream.newest
    # Not the start of the branch: restored edits have a commit of their own and are not part of the update.
    before = git(root, "rev-parse", "--verify", "HEAD").strip()
    run_copier_update(root, answers_file, new, plan.kept_paths)
    # Copier deletes a file that left the template even if the team had edited it, so these count as conflicts too.
    if conflicts := unmerged_files(root) | {path for path in edited if not (root / path).exists()}:
        raise _UpdateConflict({path.removesuffix(".rej") for path in conflicts})
    # Before the commit, so that the branch is complete and CI can install from it.
    _update_lock_file(root)
    branch.commit(f"Update the chassis from {answers_file.version} to {new}")
    changed = _changed_files(root, before)
    not_updated = {*edited, answers_file.path, LOCK_FILE}
    return UpdateResult(
        old=answers_file.version,
        new=new,
        undo_command=branch.undo_command,
        updated=tuple(path for path in changed["M"] if path not in not_updated),
        merged=tuple(path for path in changed["M"] if path in edited),
        added=changed["A"],
        removed=changed["D"],
        # Copier leaves deletions alone because it applies the team's diff, which contains them, to the new release.
        still_deleted=tuple(sorted(path for path in plan.shipped if not (root / path).exists())),
        kept_paths=plan.kept_paths,
        untouched=sum(path not in {*plan.shipped, answers_file.path} for path in git_list(root, "ls-files")),
        changes=plan.upstream.changes,
        news=plan.upstream.news,
        next_steps=("make setup check", "git add --all .", "git commit --amend --no-edit"),
    )


def _update_lock_file(root: Path) -> None:
    """Update `uv.lock` to what the new chassis requires; if that fails, `make setup` reports why."""
    if (root / LOCK_FILE).is_file() and not (root / LOCK_FILE).is_symlink():
        command = ["sh", "chassis/uv", "lock", "--quiet"]
        with suppress(ConfigError):
            run_program(command, root, name="uv lock", timeout_seconds=LOCK_TIMEOUT_SECONDS)


def _changed_files(root: Path, before: str) -> Mapping[str, tuple[str, ...]]:
    """Return the paths that differ from a commit, by git's status letter: M modified, A added, D deleted."""
    # Without renames, which git guesses: a new file would be listed as an old one under another name.
    items = git_list(root, "diff", "--no-renames", "--name-status", "--relative", before, "--")
    entries = list(zip(items[::2], items[1::2], strict=True))
    # T is a file in place of a link.
    return {letter: tuple(path for status, path in entries if status.replace("T", "M") == letter) for letter in "MAD"}


UPDATER_TIMEOUT_SECONDS = 1800.0
UPDATER_VARIABLE = "CHASSIS_UPDATER"
"""Set to the release whose updater runs, so that it does not start another one."""
PACKAGES = ("chassis", "chassis/tools")
MAIN = "from chassis.cli.main import main; main()"


def run_newest_updater(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """Run a command of the newest release's chassis in a service.

    Args:
        root: The folder of the service.
        arguments: The arguments of the command `chassis`.

    Returns:
        Its output and exit code, or None if there is no newer release or this is the newest updater.

    Raises:
        ConfigError: The template cannot be reached, or the updater took too long.
    """
    # This is the updater that the older one started; a third would run for ever.
    if UPDATER_VARIABLE in os.environ:
        return None
    answers_file = load_answers_file(root)
    with cloned_template(answers_file.source) as template, tempfile.TemporaryDirectory(prefix="chassis-new-") as folder:
        upstream = compare_with_template(root, answers_file, template)
        if not upstream.commits_behind:
            return None
        template.check_out(upstream.newest, Path(folder))
        command, environment = _updater(root, Path(folder, TEMPLATE_FOLDER))
        return run_program(
            [*command, *arguments],
            root,
            name="chassis update",
            timeout_seconds=UPDATER_TIMEOUT_SECONDS,
            environment=os.environ | environment | {UPDATER_VARIABLE: upstream.newest},
        )


def _updater(root: Path, template: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables that run the `chassis` of a template in a service."""
    chassis, tools = (template / package for package in PACKAGES)
    if all(_dependencies(root / package) == _dependencies(template / package) for package in PACKAGES):
        # What is installed suffices, so the update needs no package index.
        search_path = os.pathsep.join((str(chassis / "src"), str(tools / "src")))
        # `-P` keeps the service's own folder off the path, where a module of the team could have the name of ours.
        return [sys.executable, "-P", "-c", MAIN], {"PYTHONPATH": search_path}
    uv = ["sh", "chassis/uv", "tool", "run", "--quiet", "--from", str(chassis), "--with", str(tools)]
    return [*uv, "chassis"], {}


def _dependencies(package: Path) -> object:
    """Return what a package requires; None if there is no such package."""
    file = package / "pyproject.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"] if file.is_file() else None
