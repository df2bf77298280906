"""Generate projects in process from the working tree; never `unsafe`, so that a template that runs code fails."""

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from answer_sets import ROOT, worth_saying
from copier import run_copy

CACHES = shutil.ignore_patterns("__pycache__", ".uv", ".venv", ".pytest_cache", ".ruff_cache", ".hypothesis")
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")

type Generate = Callable[..., Path]
type Once = Callable[[dict[str, Any]], Path]


def copy_template(folder: Path) -> Path:
    """Copy what Copier reads into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "copier.yml", folder)
    shutil.copytree(ROOT / "template", folder / "template", ignore=_passed_over)
    return folder


def _passed_over(at: str, names: list[str]) -> set[str]:
    """Return what gets into no project: caches, and all but one of the chassis' own tests, since Copier reads each."""
    return set(names) - {"conftest.py"} if at == str(ROOT / "template/chassis/tests") else CACHES(at, names)


def generate_into(folder: Path, template: Path, answers: dict[str, Any], **options: Any) -> Path:
    """Generate a project into a folder and return it."""
    run_copy(str(template), folder, data=answers, defaults=True, quiet=True, **options)
    return folder


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the processes of one run of the tests share, for reading only: the template, and projects made from it.

    Args:
        folder: Where it stands.
    """

    folder: Path

    def template(self) -> Path:
        """Return a copy of the template as it lies in the working tree, without git."""
        return self._once("template", copy_template)

    def project(self, answers: dict[str, Any]) -> Path:
        """Return the project of some answers; whoever asks first generates it, which takes Copier seconds."""
        said = sorted(worth_saying(answers).items())
        name = sha256(repr(said).encode()).hexdigest()[:16]
        return self._once(name, lambda place: generate_into(place, self.template(), answers))

    def _once(self, name: str, make: Callable[[Path], object]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / name
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                make(place)
        return place


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
