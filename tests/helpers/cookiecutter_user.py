"""Runs cookiecutter with a home of its own, with or without Copier, and finds what it leaves behind."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from answer_sets import ROOT
from generated_project import copy_template

COPIER_PROGRAMS = ("copier", "uvx", "pipx")
"""Programs that are Copier or can fetch it."""


def copy_cookiecutter_template(folder: Path) -> Path:
    """Copy the template, and what cookiecutter needs to read it, into a folder.

    The subpackages of the chassis are left out: no question concerns them.
    """
    copy_template(folder, subpackages=False)
    shutil.copy(ROOT / "cookiecutter.json", folder)
    for name in ("hooks", "{{cookiecutter.__folder}}"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def files_below(folder: Path) -> list[str]:
    """Return the files below a folder; empty folders, which cookiecutter leaves in the temporary one, do not count."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class CookiecutterUser:
    """Someone who runs cookiecutter.

    Args:
        home: The folder for settings, replayed answers and clones; the real home is neither read nor written.
        python: The interpreter whose cookiecutter is run.
        path: The PATH.
    """

    home: Path
    python: Path = Path(sys.executable)
    path: str = os.environ["PATH"]

    @property
    def temporary(self) -> Path:
        """Return the folder for temporary files."""
        return self.home / "temporary"

    @property
    def cwd(self) -> Path:
        """Return the working directory."""
        return self.home / "cwd"

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run cookiecutter, without a terminal."""
        for folder in (self.temporary, self.cwd):
            folder.mkdir(exist_ok=True, parents=True)
        config = self.home / "config.yaml"
        folders = {"replay_dir": self.home / "replay", "cookiecutters_dir": self.home / "clones"}
        config.write_text("".join(f"{name}: {path}\n" for name, path in folders.items()), encoding="utf-8")
        variables = {"PATH": self.path, "TMPDIR": str(self.temporary), "HOME": str(self.home)}
        environment = os.environ | variables | {"COOKIECUTTER_CONFIG": str(config)}
        command = [self.python, "-m", "cookiecutter", *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.cwd, env=environment, input="", capture_output=True, text=True, check=False
        )

    def without_copier(self, *programs: Path) -> "CookiecutterUser":
        """Return a user without Copier: not installed beside cookiecutter, and not on PATH unless among `programs`."""
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
        others = [str(folder) for folder in folders if not any((folder / name).exists() for name in COPIER_PROGRAMS)]
        return replace(self, python=other / "bin/python", path=os.pathsep.join([str(path), *others]))
