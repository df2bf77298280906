"""Git, as this package uses it: one command, its output, and one sentence if it fails."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from chassis.errors import ConfigError

SECONDS = 120
QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")}
"""Nobody is there to type a password in CI, and a question that nobody sees looks like a hang."""


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """Run git in a folder with `given` as its input, and return what it prints.

    Raises:
        ConfigError: There is no git, it failed, or it took longer than two minutes; in git's own words.
    """
    command = ["git", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - only this package chooses the arguments
            command,
            cwd=folder,
            env=os.environ | QUIET,
            input=given,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=SECONDS,
        )
    except FileNotFoundError:
        raise ConfigError("git", "there is no such program on PATH", "Install it") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(_told(arguments), f"no answer in {SECONDS} seconds", "Try again later") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ConfigError(
            _told(arguments), lines[-1].rstrip(".") if lines else "it failed", "Mend that, then try again"
        )
    return done.stdout


def names(folder: Path, *arguments: str) -> list[str]:
    """Run git with `-z`, which quotes nothing, and return what it prints as a list."""
    return [name for name in git(folder, *arguments, "-z").split("\0") if name]


def unmerged(root: Path) -> set[str]:
    """Return the files that hold a merge which nobody has finished, in git's way or in Copier's."""
    conflicts = {line.partition("\t")[2] for line in names(root, "ls-files", "--unmerged")}
    return conflicts | set(names(root, "ls-files", "--others", "--", "*.rej"))


def _told(arguments: Sequence[str]) -> str:
    return " ".join(("git", *arguments[:2]))
