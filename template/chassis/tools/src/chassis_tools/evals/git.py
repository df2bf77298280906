"""Reads git: the commit of a run, the accepted run of another branch, and the evidence that a change edits."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from chassis.errors import ConfigError

EVIDENCE = ("evals", "constraints.toml")
"""The paths on which a verdict rests besides the service itself."""
ACCEPTED = "evals/accepted"


def current_commit(root: Path) -> str:
    """Return the short hash of the commit that is checked out, and `+` if files differ; empty outside of git."""
    commit = _text(_run(root, "rev-parse", "--short=12", "HEAD"))
    return commit and commit + ("+" if _run(root, "status", "--porcelain", "--", ".") else "")


def check_out_accepted(root: Path, base: str, folder: Path) -> None:
    """Write the accepted runs of the commit `base` to `folder`, replacing it; a commit may have none.

    Raises:
        ConfigError: There is no such commit.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if _run(root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}") is None:
        remedy = "Name a branch or a commit that this clone has; in CI, check out with its history"
        raise ConfigError(f"--base {base}", "there is no such commit", remedy)
    archive = _run(root, "archive", base, ACCEPTED)
    if archive is not None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")


def edited_evidence(root: Path, base: str) -> tuple[str, ...]:
    """Return the files under `EVIDENCE` that differ from the commit `base`, each after `A`, `M` or `D`."""
    edited = _text(_run(root, "diff", "--name-status", "--no-renames", "--relative", base, "--", *EVIDENCE))
    new = _text(_run(root, "ls-files", "--others", "--exclude-standard", "--", *EVIDENCE))
    lines = [line.replace("\t", " ") for line in edited.splitlines()]
    return (*lines, *(f"A {name}" for name in new.splitlines()))


def _run(root: Path, *arguments: str) -> bytes | None:
    """Return what git prints, or None if it is not installed or fails, as it does outside of a repository."""
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  the arguments are this module's
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace").strip()
