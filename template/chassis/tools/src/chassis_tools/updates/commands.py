"""Runs git and Copier for updates: an update's branch that disappears if it fails, and Copier's answers file."""

import json
import os
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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


ANSWERS_FILE = ".copier-answers.yml"
COPIER = "copier>=9.19,<10"
"""What uv installs if there is no `copier` on PATH; at least `_min_copier_version` of `copier.yml`."""
COPIER_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class AnswersFile:
    """The content of `.copier-answers.yml`.

    Args:
        source: Where the template is: a folder or a URL, or Copier's short form `gh:owner/name`.
        version: The release as `git describe` names it: `1.2.0`, `1.2.0-3-gabc1234`, or a commit if nothing is tagged.
        answers: The recorded answers, by the name of the question.
    """

    source: str
    version: str
    answers: Mapping[str, Any]

    @property
    def kept_paths(self) -> tuple[str, ...]:
        """Return the chassis paths where the team keeps a file of its own."""
        return tuple(self.answers.get("kept_paths") or ())

    @property
    def forge(self) -> str:
        """Return the forge; `github` if the repository was made by a release that did not ask."""
        return str(self.answers.get("forge", "github"))


def load_answers_file(root: Path) -> AnswersFile:
    """Read the answers file of the repository at `root`.

    Raises:
        ConfigError: It is missing, is not YAML, or does not name the template and the release.
    """
    import yaml

    try:
        content: object = yaml.safe_load((root / ANSWERS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "Restore it from git; without it Copier cannot update"
        raise ConfigError(ANSWERS_FILE, "the file is missing", remedy) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(ANSWERS_FILE, "not valid YAML", "Restore it from git; only Copier edits it") from None
    answers = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    source, version = answers.get("_src_path"), answers.get("_commit")
    if source is None or version is None:
        problem = "it does not name the template and its release (_src_path and _commit)"
        raise ConfigError(ANSWERS_FILE, problem, "Generate the project from a git repository, not from a plain folder")
    return AnswersFile(str(source), str(version), answers)


def run_copier_update(root: Path, release: str, kept_paths: Sequence[str]) -> None:
    """Update the repository at `root`. No code of the template runs.

    Args:
        root: The repository.
        release: A tag or a commit of the template.
        kept_paths: The new answer to `kept_paths`; all other answers stay as they are.

    Raises:
        ConfigError: Copier cannot be found or installed, or it failed; the problem is Copier's last line.
    """
    installed = shutil.which("copier")
    copier = [installed] if installed else ["sh", "chassis/uv", "tool", "run", "--quiet", "--from", COPIER, "copier"]
    options = ["--defaults", "--quiet", "--vcs-ref", release, "--data", f"kept_paths={json.dumps(kept_paths)}"]
    try:
        done = subprocess.run(  # noqa: S603 - the release is a tag or a commit of the template
            [*copier, "update", *options, "."],
            cwd=root,
            capture_output=True,
            check=False,
            text=True,
            timeout=COPIER_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            "copier update", f"no answer within {COPIER_TIMEOUT_SECONDS} seconds", "Try again later"
        ) from None
    if done.returncode != 0:
        raise ConfigError("copier update", last_line(done.stderr), "Nothing was changed; fix this, then try again")
