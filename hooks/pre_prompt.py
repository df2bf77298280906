"""Say what is missing before the first question, and write down for the other hook how Copier is called.

Cookiecutter runs this in a copy of the template that it has made in a temporary folder.
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
COMMAND = Path("copier-command.json")


def oldest() -> str:
    """Return the oldest release of Copier that can read the template."""
    line = re.compile(r'^_min_copier_version: "(.+)"$', re.MULTILINE)
    return line.findall(Path("copier.yml").read_text(encoding="utf-8"))[0]


def find_copier(version: str) -> list[str] | None:
    """Return the nearest way to call a Copier that is new enough; None if there is none."""
    try:
        if numbers(metadata.version("copier")) >= numbers(version):
            return [sys.executable, "-m", "copier"]
    except metadata.PackageNotFoundError:
        pass
    within = f"copier>={version},<10"
    others = [["copier"], ["uvx", "--from", within, "copier"], ["pipx", "run", "--spec", within, "copier"]]
    return next((command for command in others if shutil.which(command[0]) and works(command, version)), None)


def works(command: list[str], version: str) -> bool:
    """Say whether a command starts a Copier that is new enough."""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return done.returncode == 0 and found is not None and numbers(found[0]) >= numbers(version)


def numbers(version: str) -> list[int]:
    """Return a version as numbers that compare."""
    return [int(part) for part in takewhile(str.isdecimal, version.split("."))]


def give_up(sentence: str) -> NoReturn:
    """End with a sentence, and take the copy of the template away, which cookiecutter would leave behind."""
    if Path(tempfile.gettempdir()).resolve() in TEMPLATE.resolve().parents:
        shutil.rmtree(TEMPLATE.parent, ignore_errors=True)
    sys.exit(sentence)


def main() -> None:
    """Look for git, for the history of the template and for Copier."""
    if not shutil.which("git"):
        give_up("git is not installed; install it, since the template and its updates come through it")
    if not Path(".git").exists():
        give_up(
            "This template came without its git history, as an archive or a bare folder, so that a service made from "
            "it could never be updated; give cookiecutter the address of the repository or the path of a clone"
        )
    version = oldest()
    command = find_copier(version)
    if command is None:
        give_up(f"Copier {version} or newer was neither found nor fetched; install it, with: pipx install copier")
    COMMAND.write_text(json.dumps(command), encoding="utf-8")


main()
