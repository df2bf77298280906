"""Runs git and other programs, and gives an update a branch that disappears without a trace if the update fails.

A program that takes too long is ended with everything that it started; if one fails, its reason is found.
"""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

from chassis.errors import ConfigError

GRACE_SECONDS = 10.0
"""How long a program has to end by itself after an interrupt."""
TERMINAL_COLORS = re.compile(r"\x1b\[[0-9;]*m")
QUOTED_OUTPUT = re.compile(r"\A(?:Std(?:err|out):)?\s*\| ?")
"""How plumbum, with which Copier runs git, puts the output of a program into its own error message."""
REASON = re.compile(r"\A(?:fatal|error|×)[: ]\s*", re.IGNORECASE)
"""How git and uv begin the line with the reason. What follows is advice."""
CONTINUATION = re.compile(r"\A(?:\s+(?:caused by:|╰─▶)?|╰─▶)\s*", re.IGNORECASE)
HINT = "hint:"
"""How git begins its advice. Without a marked reason, all that it prints before is one."""
UNSPECIFIC = "Could not read from remote repository"
"""Git's last word if ssh failed; ssh gives the reason on the line before."""


def run_program(
    command: Sequence[str],
    folder: Path,
    *,
    name: str,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, and return its output with every byte that is not UTF-8 escaped.

    Args:
        command: The program and its arguments.
        folder: The working directory.
        name: What an error message calls it.
        timeout_seconds: The time after which it is ended.
        environment: The environment variables; the current ones if it is None.
        stdin: Its standard input.

    Raises:
        ConfigError: It is not installed, or it took too long. It and all programs that it started have ended then.
    """
    try:
        # In a process group of its own, because git and uv start programs that would outlive them.
        process = subprocess.Popen(  # noqa: S603 - the callers choose the program and its arguments
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ConfigError(command[0], "the program is not on PATH", f"Install {command[0]}") from None
    with process:
        try:
            output, errors = process.communicate(stdin.encode(errors="surrogateescape"), timeout_seconds)
        except subprocess.TimeoutExpired:
            _end_group(process)
            raise ConfigError(name, f"no answer within {timeout_seconds:g} seconds", "Try again later") from None
        except BaseException:
            _end_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, *map(_decode, (output, errors)))


def failure_reason(stderr: str) -> str:
    """Return why a program failed, on one line without a period, from what it printed to standard error.

    Git and uv mark the reason and let advice follow; other programs, and Python, print it last.
    """
    plain = (QUOTED_OUTPUT.sub("", line) for line in TERMINAL_COLORS.sub("", stderr).splitlines())
    lines = [line.rstrip() for line in plain if line.strip()]
    # The first one: git and uv give the reason once, and advice that may contain the same words below it.
    first = next((number for number, line in enumerate(lines) if REASON.match(line.strip())), None)
    if first is None and (said := list(takewhile(lambda line: not line.startswith(HINT), lines))) != lines:
        return " ".join(line.strip() for line in said).rstrip(".")
    if first is None:
        return lines[-1].strip().rstrip(".") if lines else "it failed without a message"
    if first and UNSPECIFIC in lines[first]:
        return lines[first - 1].strip().rstrip(".")
    reason = [REASON.sub("", lines[first].strip())]
    for line in lines[first + 1 :]:
        if not CONTINUATION.match(line):
            break
        reason.append(CONTINUATION.sub("", line))
    return " ".join(reason).rstrip(".")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: first with an interrupt, so that an update can restore the repository."""
    with suppress(ProcessLookupError):
        # The group has the number of its first process, because that was started in a session of its own.
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _decode(output: bytes) -> str:
    return output.decode(errors="surrogateescape")


GIT_TIMEOUT_SECONDS = 120.0
REPOSITORY_VARIABLES = {
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS", "GIT_DEFAULT_HASH", "GIT_CONFIG"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
    *("GIT_EXTERNAL_DIFF", "GIT_QUARANTINE_PATH", "GIT_ATTR_SOURCE"),
}
"""What would make git answer for another repository. Git sets some of them in hooks and in `git rebase --exec`."""
NO_PROMPTS = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")}
"""In CI a password prompt that is never answered would look like a hang."""
OPTIONS = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")
"""A hook of the team that fails, or writes files, must not end in half an update."""
LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}
NOT_LITERAL = {"check-ignore"}
"""The commands that never read a `*` in a path as a pattern, and refuse the variable that forbids it."""
LISTED_FILES = 5
"""How many uncommitted files an error message names."""


def git_environment() -> dict[str, str]:
    """Return the environment variables for git, and for programs that run git in the repository of their folder."""
    return {name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES} | NO_PROMPTS


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run git in a folder and return its standard output. Paths stand for themselves, even with `*` in them.

    Raises:
        ConfigError: Git is not installed, failed, or took longer than two minutes; the problem is git's reason.
    """
    name = f"git {next(argument for argument in arguments if not argument.startswith('-'))}"
    done = run_program(
        ["git", *OPTIONS, *arguments],
        folder,
        name=name,
        timeout_seconds=GIT_TIMEOUT_SECONDS,
        # In English, because the reason is recognized by how git's line begins.
        environment=git_environment() | {"LC_ALL": "C"} | ({} if arguments[0] in NOT_LITERAL else LITERAL),
        stdin=stdin,
    )
    if done.returncode != 0:
        raise ConfigError(name, failure_reason(done.stderr), "Fix this, then try again")
    return done.stdout


def git_list(folder: Path, *arguments: str, stdin: Iterable[str] = ()) -> list[str]:
    """Run git with `-z`, which does not quote unusual paths, and return the items that it prints."""
    command, *options = arguments
    # The last item ends with NUL too, so the last part is empty.
    return [item for item in git(folder, command, "-z", *options, stdin="\0".join(stdin)).split("\0") if item]


def git_succeeds(folder: Path, *arguments: str) -> bool:
    """Return whether git exits with 0, for its questions that are answered by the exit code."""
    try:
        git(folder, *arguments)
    except ConfigError:
        return False
    return True


def object_format(root: Path) -> str:
    """Return the hash of the repository's ids, `sha1` or `sha256`."""
    return git(root, "rev-parse", "--show-object-format").strip()


def unmerged_files(root: Path) -> set[str]:
    """Return the files with an unresolved conflict: git's unmerged files, and the `.rej` files that Copier leaves."""
    conflicts = {line.partition("\t")[2] for line in git_list(root, "ls-files", "--unmerged")}
    return conflicts | {path for path in git_list(root, "ls-files", "--others") if path.endswith(".rej")}


def ignored_files(root: Path, paths: Collection[str]) -> dict[str, str]:
    """Return those of the paths that git would not commit, with the line that ignores each, `.gitignore:3:*.txt`."""
    # A rule of `.gitignore` has no effect on what is tracked already.
    untracked = set(paths) - set(git_list(root, "ls-files"))
    try:
        items = git_list(root, "check-ignore", "--verbose", "--stdin", stdin=sorted(untracked)) if untracked else []
    except ConfigError:  # exit code 1: none is ignored
        return {}
    rows = zip(items[::4], items[1::4], items[2::4], items[3::4], strict=True)
    return {path: f"{source}:{line}:{pattern}" for source, line, pattern, path in rows if not pattern.startswith("!")}


@dataclass(frozen=True, slots=True)
class UpdateBranch:
    """The branch on which an update is made.

    Args:
        root: The folder of the service: a repository, or a folder in one.
        name: The new branch.
        start: The branch that it started from.
        start_commit: The id of the commit that it started from.
        shipped: The paths that the update may write. They are committed even if `.gitignore` hides them.
    """

    root: Path
    name: str
    start: str
    start_commit: str
    shipped: tuple[str, ...]

    @property
    def undo_command(self) -> str:
        """Return the command that takes the whole update back."""
        switch = f"git switch {shlex.quote(self.start)}"
        if self.start.startswith("-") or self.start == "@":  # an option, or another name for HEAD
            switch = f"git symbolic-ref HEAD {shlex.quote(f'refs/heads/{self.start}')} && git reset --hard"
        return f"{switch} && git branch -D {shlex.quote(self.name)}"

    def commit(self, message: str) -> None:
        """Commit all changes without running hooks, because `make check` runs them afterwards."""
        self._stage()
        git(self.root, "commit", "--quiet", "--no-verify", "--message", message)

    def discard(self) -> None:
        """Restore the working tree and delete the branch. Files that git ignores stay as they are."""
        # Git removes what is staged and not in the commit, and so also new files that `.gitignore` hides.
        with suppress(ConfigError):
            self._stage()
        # `--`, because a file could have the name of a commit.
        git(self.root, "reset", "--quiet", "--hard", self.start_commit, "--")
        git(self.root, "clean", "--quiet", "--force", "-d")
        # Not `git switch`, which would take some names for an option or another revision.
        git(self.root, "symbolic-ref", "HEAD", f"refs/heads/{self.start}")
        git(self.root, "branch", "--quiet", "--delete", "--force", self.name)

    def _stage(self) -> None:
        git(self.root, "add", "--all", "--", ".")
        if present := [path for path in self.shipped if (self.root / path).exists()]:
            stdin = "\0".join(present)
            # From standard input: hundreds of paths could exceed the longest command line of the system.
            git(self.root, "add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=stdin)


@contextmanager
def update_branch(root: Path, name: str, shipped: Collection[str]) -> Generator[UpdateBranch]:
    """Create and check out a branch. If the block raises, the repository is restored to its former state.

    Args:
        root: The folder of the service.
        name: The new branch.
        shipped: The paths that the update may write.

    Raises:
        ConfigError: There are uncommitted changes, a sparse checkout leaves out files, no branch is checked out, or the
            branch already exists.
    """
    _require_clean_tree(root)
    _require_all_files(root)
    # An update ends on a branch, and discarding one returns to where it came from; a detached HEAD has no name to
    # return to.
    start = git(root, "branch", "--show-current").strip()
    if not start:
        raise ConfigError("git", "no branch is checked out", "Check one out, such as `git switch main`")
    if git_succeeds(root, "show-ref", "--verify", "--quiet", f"refs/heads/{name}"):
        remedy = f"Merge it or delete it: git branch -D {name}"
        raise ConfigError(name, "this branch already exists, perhaps from an earlier update", remedy)
    start_commit = git(root, "rev-parse", "--verify", "HEAD").strip()
    branch = UpdateBranch(root, name, start, start_commit, tuple(shipped))
    git(root, "switch", "--quiet", "--create", name)
    try:
        yield branch
    except BaseException:
        branch.discard()
        raise


@contextmanager
def branch_in_worktree(root: Path, name: str) -> Generator[Path]:
    """Create a branch at the commit that is checked out, in a worktree of its own for as long as the block runs.

    The files at `root` stay as they are, with all changes that are not committed. If the block raises, the branch is
    deleted.

    Args:
        root: The folder of the service: a repository, or a folder in one.
        name: The new branch.

    Yields:
        The folder of the service in the worktree.

    Raises:
        ConfigError: There is no commit yet, or the branch exists or cannot have this name.
    """
    prefix = git(root, "rev-parse", "--show-prefix").removesuffix("\n")
    if not git_succeeds(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        raise ConfigError("git", "the repository has no commit yet", "Commit the files of the service")
    if not git_succeeds(root, "check-ref-format", "--branch", name):
        raise ConfigError("--branch", f"{name!r} cannot be the name of a branch", "Choose another name")
    if git_succeeds(root, "show-ref", "--verify", "--quiet", f"refs/heads/{name}"):
        raise ConfigError("--branch", f"{name!r} already exists", f"Merge it or delete it: git branch -D {name}")
    with TemporaryDirectory(prefix="chassis-") as folder:
        tree = Path(folder) / "tree"
        git(root, "worktree", "add", "--quiet", "-b", name, str(tree), "HEAD")
        try:
            yield tree / prefix
        except BaseException:
            git(root, "worktree", "remove", "--force", str(tree))
            git(root, "branch", "--quiet", "--delete", "--force", "--", name)
            raise
        git(root, "worktree", "remove", "--force", str(tree))


def commit_files(root: Path, message: str, paths: Collection[str]) -> None:
    """Commit some files without running hooks, even if `.gitignore` hides them."""
    git(root, "add", "--force", "--", *paths)
    git(root, "commit", "--quiet", "--no-verify", "--message", message, "--", *paths)


def _require_clean_tree(root: Path) -> None:
    # `--untracked-files` is explicit because git can be configured to hide new files, and `discard` would delete them.
    entries = git_list(root, "status", "--porcelain", "--no-renames", "--untracked-files=normal")
    files = [entry[3:] for entry in entries]
    if files:
        more = f" and {len(files) - LISTED_FILES} more" if len(files) > LISTED_FILES else ""
        problem = f"uncommitted changes in {', '.join(files[:LISTED_FILES])}{more}"
        remedy = "Commit them or run `git stash --include-untracked`, then try again"
        raise ConfigError("the working tree", problem, remedy)


def _require_all_files(root: Path) -> None:
    """Refuse a sparse checkout, because the files that it leaves out would count as deleted, and could not be added."""
    marked = (item[2:] for item in git_list(root, "ls-files", "-t") if item.startswith("S "))
    if left_out := [path for path in marked if not (root / path).exists()]:
        problem = f"a sparse checkout leaves out {len(left_out)} files of the service, such as {left_out[0]}"
        remedy = "Run `git sparse-checkout disable`, or add the folder of the service to it, then try again"
        raise ConfigError("git", problem, remedy)
