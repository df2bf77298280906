"""Runs the updater of the newest release, which knows what the files of that release need."""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from chassis_tools.updates.copier import load_answers_file
from chassis_tools.updates.programs import run_program
from chassis_tools.updates.status import compare_with_template
from chassis_tools.updates.template_repository import TEMPLATE_FOLDER, cloned_template

UPDATER_TIMEOUT_SECONDS = 1800.0
UPDATER_VARIABLE = "CHASSIS_UPDATER"
"""Set to the release whose updater runs, so that it does not start another one."""
PACKAGES = ("chassis", "chassis/tools")
MAIN = "from chassis.cli.main import main; main()"


def run_newest_updater(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """Run a command of the newest release's chassis in a service.

    Args:
        root: The folder of the service.
        arguments: The arguments of the command `chassis`.

    Returns:
        Its output and exit code, or None if there is no newer release or this is the newest updater.

    Raises:
        ConfigError: The template cannot be reached, or the updater took too long.
    """
    if UPDATER_VARIABLE in os.environ:
        return None
    answers_file = load_answers_file(root)
    with cloned_template(answers_file.source) as template, tempfile.TemporaryDirectory(prefix="chassis-new-") as folder:
        upstream = compare_with_template(root, answers_file, template)
        if not upstream.commits_behind:
            return None
        template.check_out(upstream.newest, Path(folder))
        command, environment = _updater(root, Path(folder, TEMPLATE_FOLDER))
        return run_program(
            [*command, *arguments],
            root,
            name="chassis update",
            timeout_seconds=UPDATER_TIMEOUT_SECONDS,
            environment=os.environ | environment | {UPDATER_VARIABLE: upstream.newest},
        )


def _updater(root: Path, template: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables that run the `chassis` of a template in a service."""
    chassis, tools = (template / package for package in PACKAGES)
    if all(_dependencies(root / package) == _dependencies(template / package) for package in PACKAGES):
        # What is installed suffices, so the update needs no package index.
        search_path = os.pathsep.join((str(chassis / "src"), str(tools / "src")))
        return [sys.executable, "-P", "-c", MAIN], {"PYTHONPATH": search_path}
    uv = ["sh", "chassis/uv", "tool", "run", "--quiet", "--from", str(chassis), "--with", str(tools)]
    return [*uv, "chassis"], {}


def _dependencies(package: Path) -> object:
    """Return what a package requires; None if there is no such package."""
    file = package / "pyproject.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"] if file.is_file() else None
