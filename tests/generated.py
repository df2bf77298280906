"""Generate projects in process from the working tree; never `unsafe`, so that a template that runs code fails."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from answers import ROOT
from copier import run_copy

CACHES = shutil.ignore_patterns("__pycache__", ".uv", ".venv", ".pytest_cache", ".ruff_cache", ".hypothesis")
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")

type Generate = Callable[..., Path]


def copy_template(folder: Path) -> Path:
    """Copy what Copier reads into a folder."""
    shutil.copy(ROOT / "copier.yml", folder)
    shutil.copytree(ROOT / "template", folder / "template", ignore=CACHES)
    return folder


def generate_into(folder: Path, template: Path, answers: dict[str, Any], **options: Any) -> Path:
    """Generate a project into a folder and return it."""
    run_copy(str(template), folder, data=answers, defaults=True, quiet=True, **options)
    return folder


def rendered(project: Path) -> dict[str, bytes]:
    """Return every file of a project that nobody has worked in yet, by its path from the root."""
    return {str(path.relative_to(project)): path.read_bytes() for path in sorted(project.rglob("*")) if path.is_file()}


def git(folder: Path, *arguments: str) -> str:
    """Run git with an identity of its own and return what it prints."""
    done = subprocess.run(["git", *AUTHOR, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder: Path, message: str) -> None:
    """Commit all there is."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
