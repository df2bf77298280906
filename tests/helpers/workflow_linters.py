"""Runs zizmor and actionlint at their strictest settings on the workflows of a repository."""

import json
import subprocess
from pathlib import Path

ZIZMOR = ("zizmor", "--offline", "--pedantic", "--format", "json-v1", "--no-exit-codes", ".github")
ACTIONLINT = ("jactionlint", "--profile", "pedantic", "--strict-exit", "--format", "json", "--no-hints")
"""A fork of actionlint that is available as a wheel; it runs shellcheck on each script."""


def findings(repository: Path) -> dict[str, list[str]]:
    """Return the findings by the name of the rule, each with its line.

    Args:
        repository: A folder that contains `.github/` and `.git/`.
    """
    by_rule: dict[str, list[str]] = {}
    for finding in json.loads(_output(repository, ZIZMOR)):
        location = finding["locations"][0]
        row = location["concrete"]["location"]["start_point"]["row"]
        by_rule.setdefault(finding["ident"], []).append(f"{location['symbolic']['key']}:{row + 1}: {finding['desc']}")
    for finding in json.loads(_output(repository, ACTIONLINT) or "[]"):
        by_rule.setdefault(finding["id"], []).append(f"{finding['filepath']}:{finding['line']}: {finding['message']}")
    return by_rule


def _output(repository: Path, command: tuple[str, ...]) -> str:
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout
