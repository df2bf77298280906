"""Generates the projects that are measured, from the working tree."""

import os
import re
import shutil
from pathlib import Path

from copier import run_copy

ROOT = Path(__file__).parents[1]
CACHES = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", ".uv", ".venv")
OF_ITS_OWN = re.compile(r"\w+_API_KEY|(CHASSIS|OTEL)_\w+")
"""Variables of whoever measures, which would make their service another one."""
CLI = "from chassis.cli.main import main; main()"
"""`chassis`, which is not installed in a project that is only measured."""


def copy_template(folder: Path, *, subpackages: bool = True) -> Path:
    """Copy what Copier reads into a new folder, without git, and return it; half of the files are in subpackages."""
    shutil.copytree(ROOT / "template", folder / "template", ignore=CACHES)
    shutil.copy(ROOT / "copier.yml", folder)
    if not subpackages:
        for package in ("src/chassis", "tools/src/chassis_tools"):
            for subpackage in (folder / "template/chassis" / package).glob("*/"):
                shutil.rmtree(subpackage)
    return folder


def generate(folder: Path, **answers: object) -> Path:
    """Generate a project below `folder`, with the default answers but for those given, and return it."""
    run_copy(str(copy_template(folder / "template")), folder / "project", data=answers, defaults=True, quiet=True)
    return folder / "project"


def environment(project: Path) -> dict[str, str]:
    """Return the variables with which Python finds a project, its chassis and the benchmarks."""
    paths = [str(project / "src"), str(project / "chassis/src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if not OF_ITS_OWN.fullmatch(name)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
