"""Runs git, and gives an update a branch that disappears without a trace if the update fails."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError

GIT_TIMEOUT_SECONDS = 120
NO_PROMPTS = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")}
"""In CI a password prompt that is never answered would look like a hang."""
LISTED_FILES = 5
"""How many uncommitted files an error message names."""


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run git in a folder and return its standard output.

    Raises:
        ConfigError: Git is not installed, failed, or took longer than two minutes; the problem is git's last line.
    """
    command = ["git", *arguments]
    name = " ".join(command[:3])
    try:
        done = subprocess.run(  # noqa: S603 - the arguments come from this package alone
            command,
            cwd=folder,
            env=os.environ | NO_PROMPTS,
            input=stdin,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=GIT_TIMEOUT_SECONDS,
        )
    except FileNotFoundError:
        raise ConfigError("git", "the program is not on PATH", "Install git") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(name, f"no answer within {GIT_TIMEOUT_SECONDS} seconds", "Try again later") from None
    if done.returncode != 0:
        raise ConfigError(name, last_line(done.stderr), "Fix this, then try again")
    return done.stdout


def git_list(folder: Path, *arguments: str) -> list[str]:
    """Run git with `-z`, which does not quote unusual paths, and return the items that it prints."""
    return [item for item in git(folder, *arguments, "-z").split("\0") if item]


def last_line(stderr: str) -> str:
    """Return the last line that a failed program printed, without its period, for use in a `ConfigError`."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it failed without a message"


def unmerged_files(root: Path) -> set[str]:
    """Return the files with an unresolved conflict: git's unmerged files, and the `.rej` files that Copier leaves."""
    conflicts = {line.partition("\t")[2] for line in git_list(root, "ls-files", "--unmerged")}
    return conflicts | set(git_list(root, "ls-files", "--others", "--", "*.rej"))


@dataclass(frozen=True, slots=True)
class UpdateBranch:
    """The branch on which an update is made.

    Args:
        root: The repository.
        name: The new branch.
        start: The branch that it started from.
    """

    root: Path
    name: str
    start: str

    @property
    def undo_command(self) -> str:
        """Return the command that takes the whole update back."""
        return f"git switch {self.start} && git branch -D {self.name}"

    def commit(self, message: str) -> None:
        """Commit all changes without running hooks, because `make check` runs them afterwards."""
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--no-verify", "--message", message)

    def discard(self) -> None:
        """Restore the working tree and delete the branch. Files that git ignores stay as they are."""
        git(self.root, "reset", "--quiet", "--hard", self.start)
        git(self.root, "clean", "--quiet", "--force", "-d")
        git(self.root, "switch", "--quiet", self.start)
        git(self.root, "branch", "--quiet", "--delete", "--force", self.name)


@contextmanager
def update_branch(root: Path, name: str) -> Generator[UpdateBranch]:
    """Create and check out a branch. If the block raises, the repository is restored to its former state.

    Raises:
        ConfigError: There are uncommitted changes, no branch is checked out, or the branch already exists.
    """
    _require_clean_tree(root)
    start = git(root, "branch", "--show-current").strip()
    if not start:
        raise ConfigError("git", "no branch is checked out", "Check one out, such as `git switch main`")
    if git(root, "branch", "--list", name):
        remedy = f"Merge it or delete it: git branch -D {name}"
        raise ConfigError(name, "this branch already exists, perhaps from an earlier update", remedy)
    branch = UpdateBranch(root, name, start)
    git(root, "switch", "--quiet", "--create", name)
    try:
        yield branch
    except BaseException:
        branch.discard()
        raise


def _require_clean_tree(root: Path) -> None:
    # `--untracked-files` is explicit because git can be configured to hide new files, and `discard` would delete them.
    entries = git_list(root, "status", "--porcelain", "--no-renames", "--untracked-files=normal")
    files = [entry[3:] for entry in entries]
    if files:
        more = f" and {len(files) - LISTED_FILES} more" if len(files) > LISTED_FILES else ""
        problem = f"uncommitted changes in {', '.join(files[:LISTED_FILES])}{more}"
        remedy = "Commit them or run `git stash --include-untracked`, then try again"
        raise ConfigError("the working tree", problem, remedy)
