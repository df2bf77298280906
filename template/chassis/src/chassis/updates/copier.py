"""Copier, which does the update itself: the one on PATH, otherwise one that uv fetches."""

import shutil
import subprocess
from pathlib import Path

from chassis.errors import ConfigError

WANTED = "copier>=9.19,<10"
SECONDS = 600


def update(root: Path, release: str) -> None:
    """Bring the repository at `root` to a release of its template; its answers stay, and no code of the template runs.

    Raises:
        ConfigError: Copier is neither here nor can be fetched, or it refused, in its own words.
    """
    found = shutil.which("copier")
    copier = [found] if found else ["sh", "chassis/uv", "tool", "run", "--quiet", "--from", WANTED, "copier"]
    command = [*copier, "update", "--defaults", "--quiet", "--vcs-ref", release, "."]
    try:
        done = subprocess.run(  # noqa: S603 - the release is a tag or a commit of the template
            command, cwd=root, capture_output=True, check=False, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ConfigError("copier update", f"no answer in {SECONDS} seconds", "Try again later") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it failed"]
        raise ConfigError("copier update", lines[-1].rstrip("."), "Nothing was changed; mend that, then try again")
