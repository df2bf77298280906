"""Asks the two linters of workflows, each at its strictest, what they find in a repository."""

import json
import subprocess
from pathlib import Path

ZIZMOR = ("zizmor", "--offline", "--pedantic", "--format", "json-v1", "--no-exit-codes", ".github")
ACTIONLINT = ("jactionlint", "--profile", "pedantic", "--strict-exit", "--format", "json", "--no-hints")
"""The fork of actionlint that a wheel brings; it runs shellcheck on each script."""


def findings(repository: Path) -> dict[str, list[str]]:
    """Return what they find, by the name of the rule, with the line it is about.

    Args:
        repository: A folder with `.github/` and `.git/`.
    """
    found: dict[str, list[str]] = {}
    for one in json.loads(_printed(repository, ZIZMOR)):
        where = one["locations"][0]
        row = where["concrete"]["location"]["start_point"]["row"]
        found.setdefault(one["ident"], []).append(f"{where['symbolic']['key']}:{row + 1}: {one['desc']}")
    for one in json.loads(_printed(repository, ACTIONLINT) or "[]"):
        found.setdefault(one["id"], []).append(f"{one['filepath']}:{one['line']}: {one['message']}")
    return found


def _printed(repository: Path, command: tuple[str, ...]) -> str:
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout
