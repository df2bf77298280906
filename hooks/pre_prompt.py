"""Checks that git and Copier are available before the first question, and saves how to run Copier for the other hook.

Cookiecutter runs this hook in a temporary copy of the template.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

TEMPLATE = Path.cwd()
COPIER_COMMAND = Path("copier-command.json")


def min_copier_version() -> str:
    """Return the oldest version of Copier that can read the template."""
    setting = re.compile(r'^_min_copier_version: "(.+)"$', re.MULTILINE)
    return setting.findall(Path("copier.yml").read_text(encoding="utf-8"))[0]


def find_copier(version: str) -> list[str] | None:
    """Return a command that runs a recent enough Copier; None if there is none.

    The order is: beside cookiecutter, on PATH, fetched by uv, fetched by pipx.
    """
    try:
        if parse_version(metadata.version("copier")) >= parse_version(version):
            return [sys.executable, "-m", "copier"]
    except metadata.PackageNotFoundError:
        pass
    requirement = f"copier>={version},<10"
    commands = [
        ["copier"],
        ["uvx", "--from", requirement, "copier"],
        ["pipx", "run", "--spec", requirement, "copier"],
    ]
    return next((command for command in commands if shutil.which(command[0]) and runs_copier(command, version)), None)


def runs_copier(command: list[str], version: str) -> bool:
    """Return whether a command runs a recent enough Copier."""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    printed = re.search(r"\d+(\.\d+)+", done.stdout)
    return done.returncode == 0 and printed is not None and parse_version(printed[0]) >= parse_version(version)


def parse_version(version: str) -> list[int]:
    """Return the leading numeric parts of a version, for comparison."""
    return [int(part) for part in takewhile(str.isdecimal, version.split("."))]


def give_up(message: str) -> NoReturn:
    """Remove the temporary copy of the template, which cookiecutter would leave behind, and exit with a message."""
    if Path(tempfile.gettempdir()).resolve() in TEMPLATE.resolve().parents:
        shutil.rmtree(TEMPLATE.parent, ignore_errors=True)
    sys.exit(message)


def main() -> None:
    """Check for git, for the template's git history, and for Copier."""
    if not shutil.which("git"):
        give_up("git is not installed. Install it: Copier uses it to fetch the template and its updates.")
    if not Path(".git").exists():
        give_up(
            "This template has no git history, so a service generated from it could not be updated. Give cookiecutter "
            "the URL of the repository or the path of a clone instead of an archive or a plain folder."
        )
    version = min_copier_version()
    command = find_copier(version)
    if command is None:
        give_up(f"Copier {version} or newer is required, but was not found. Install it: pipx install copier")
    COPIER_COMMAND.write_text(json.dumps(command), encoding="utf-8")


main()
