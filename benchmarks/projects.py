"""Generates the projects that are measured, from the working tree."""

import shutil
from pathlib import Path

from copier import run_copy

ROOT = Path(__file__).parents[1]
CACHES = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", ".uv", ".venv")


def copy_template(folder: Path) -> Path:
    """Copy what Copier reads into a new folder, without git, and return it."""
    shutil.copytree(ROOT / "template", folder / "template", ignore=CACHES)
    shutil.copy(ROOT / "copier.yml", folder)
    return folder


def generate(folder: Path) -> Path:
    """Generate a project with the default answers below `folder` and return it."""
    run_copy(str(copy_template(folder / "template")), folder / "project", defaults=True, quiet=True)
    return folder / "project"
