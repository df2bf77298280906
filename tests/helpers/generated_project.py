"""Generates projects from the working tree, in process and without `unsafe`, so that a template with tasks fails."""

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from answer_sets import ROOT, without_defaults
from copier import run_copy

CACHES = shutil.ignore_patterns("__pycache__", ".uv", ".venv", ".pytest_cache", ".ruff_cache", ".hypothesis")
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")

type Generate = Callable[..., Path]
type GenerateOnce = Callable[[dict[str, Any]], Path]


def copy_template(folder: Path, *, subpackages: bool = True) -> Path:
    """Copy the template from the working tree into a folder, without git.

    Args:
        folder: Where to copy it.
        subpackages: Whether the two packages of the chassis have theirs. Copier takes half as long without these files,
            which it treats alike; only what runs the chassis needs them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "copier.yml", folder)
    shutil.copytree(ROOT / "template", folder / "template", ignore=CACHES)
    if not subpackages:
        for package in ("src/chassis", "tools/src/chassis_tools"):
            for subpackage in (folder / "template/chassis" / package).glob("*/"):
                shutil.rmtree(subpackage)
    return folder


def generate_into(folder: Path, template: Path, answers: dict[str, Any], **options: Any) -> Path:
    """Generate a project into a folder and return it."""
    run_copy(str(template), folder, data=answers, defaults=True, quiet=True, **options)
    return folder


@dataclass(frozen=True, slots=True)
class SharedProjects:
    """A copy of the template and projects generated from it, shared by all processes of a test run, read-only.

    Args:
        folder: The folder that contains them.
    """

    folder: Path

    def template(self) -> Path:
        """Return a copy of the template from the working tree."""
        return self._once("template", copy_template)

    def project(self, answers: dict[str, Any]) -> Path:
        """Return the project of some answers; it is generated once, which takes Copier seconds."""
        key = sorted(without_defaults(answers).items())
        name = sha256(repr(key).encode()).hexdigest()[:16]
        template = self.template()
        return self._once(name, lambda folder: generate_into(folder, template, answers))

    def _once(self, name: str, make: Callable[[Path], object]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / name
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                make(target)
        return target


def rendered(project: Path) -> dict[str, bytes]:
    """Return the content of every file of a new project, by its path from the root."""
    return {str(path.relative_to(project)): path.read_bytes() for path in sorted(project.rglob("*")) if path.is_file()}


def git(folder: Path, *arguments: str) -> str:
    """Run git as a test user and return its output."""
    done = subprocess.run(["git", *AUTHOR, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder: Path, message: str, *options: str) -> None:
    """Commit all changes; with `--no-verify` without running the hooks."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message, *options)
