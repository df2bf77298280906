"""Copier, which does the update itself: the one on PATH, otherwise one that uv fetches."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from chassis.errors import ConfigError

WANTED = "copier>=9.19,<10"
SECONDS = 600


def update(root: Path, release: str, kept: Sequence[str]) -> None:
    """Bring the repository at `root` to a release of its template; no code of the template runs.

    Args:
        root: The repository.
        release: A tag or a commit of the template.
        kept: The paths of the chassis that the team keeps; all other answers stay as they are.

    Raises:
        ConfigError: Copier is neither here nor can be fetched, or it refused, in its own words.
    """
    found = shutil.which("copier")
    copier = [found] if found else ["sh", "chassis/uv", "tool", "run", "--quiet", "--from", WANTED, "copier"]
    command = [
        *copier,
        "update",
        "--defaults",
        "--quiet",
        "--vcs-ref",
        release,
        "--data",
        f"kept_paths={json.dumps(kept)}",
        ".",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - the release is a tag or a commit of the template
            command, cwd=root, capture_output=True, check=False, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ConfigError("copier update", f"no answer in {SECONDS} seconds", "Try again later") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it failed"]
        raise ConfigError("copier update", lines[-1].rstrip("."), "Nothing was changed; mend that, then try again")
