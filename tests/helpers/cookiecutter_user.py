"""Somebody who comes through cookiecutter's door: what they run, and what must not be left behind."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from answer_sets import ROOT
from generated_project import commit, copy_template, git


def copy_door(folder: Path) -> Path:
    """Copy the template and its second door into a folder."""
    copy_template(folder)
    shutil.copy(ROOT / "cookiecutter.json", folder)
    for name in ("hooks", "{{cookiecutter.__folder}}"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def release(source: Path, version: str) -> None:
    """Commit a template as it lies there, and tag it."""
    git(source, "init", "--quiet", "--initial-branch", "main")
    commit(source, version)
    git(source, "tag", version)


COPIERS = ("copier", "uvx", "pipx")
"""Programs that are Copier or can fetch it."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who runs cookiecutter.

    Args:
        home: Where cookiecutter keeps answers and clones; nothing of the real home is read or written.
        python: Whose cookiecutter.
        path: Where programs are found.
    """

    home: Path
    python: Path = Path(sys.executable)
    path: str = os.environ["PATH"]

    @property
    def temporary(self) -> Path:
        """Return the folder that temporary files of this visit lie in."""
        return self.home / "temporary"

    @property
    def here(self) -> Path:
        """Return the folder in which cookiecutter is run."""
        return self.home / "here"

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run cookiecutter and return how it ended."""
        for folder in (self.temporary, self.here):
            folder.mkdir(exist_ok=True, parents=True)
        config = self.home / "config.yaml"
        kept = {"replay_dir": self.home / "replay", "cookiecutters_dir": self.home / "clones"}
        config.write_text("".join(f"{name}: {path}\n" for name, path in kept.items()), encoding="utf-8")
        places = {"PATH": self.path, "TMPDIR": str(self.temporary), "HOME": str(self.home)}
        environment = os.environ | places | {"COOKIECUTTER_CONFIG": str(config)}
        command = [self.python, "-m", "cookiecutter", *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.here, env=environment, input="", capture_output=True, text=True, check=False
        )

    def without_copier(self, *programs: Path) -> "Visitor":
        """Return the same with a cookiecutter that has no Copier beside it, nor on PATH, unless it is given here."""
        other, path = self.home / "venv", self.home / "path"
        venv.create(other, symlinks=True)
        (library,) = other.glob("lib/python*/site-packages")
        for entry in Path(str(metadata.distribution("cookiecutter").locate_file(""))).iterdir():
            if not entry.name.startswith("copier"):
                (library / entry.name).symlink_to(entry)
        path.mkdir()
        for program in (Path(str(shutil.which("git"))), *programs):
            (path / program.name).symlink_to(program)
        folders = (Path(folder) for folder in self.path.split(os.pathsep))
        others = [str(folder) for folder in folders if not any((folder / name).exists() for name in COPIERS)]
        return replace(self, python=other / "bin/python", path=os.pathsep.join([str(path), *others]))


def left(folder: Path) -> list[str]:
    """Return the files below a folder; temporary folders that cookiecutter forgot do not count while they are empty."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
