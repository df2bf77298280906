"""`chassis/uv` finds an interpreter where uv does not: behind shims that refuse to run, and among pyenv's versions."""

import os
import subprocess
from pathlib import Path

import pytest
from answer_sets import ROOT

UV = """\
#!/bin/sh
case "$1" in
    --version) ;;
    python) exit {found} ;;
    *) echo "${{UV_PYTHON:-nothing}} $*" ;;
esac
"""
"""A uv that finds a Python or not, and says what it was told to use."""

WORKS, REFUSES = "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 127\n"


class Machine:
    """A PATH with programs of our own in front, and a project to stand in."""

    def __init__(self, folder: Path) -> None:
        self.project, self.shims, self.pyenv = folder / "project", folder / "bin", folder / "pyenv"
        self.project.mkdir()

    def has(self, path: Path, script: str) -> Path:
        """Put a program there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
        return path

    def runs(self, *arguments: str, **variables: str) -> str:
        """Return what `chassis/uv` prints."""
        kept = {name: value for name, value in os.environ.items() if name != "UV_PYTHON"}
        path = f"{self.shims}:/usr/bin:/bin"
        environment = {**kept, "PATH": path, "PYENV_ROOT": str(self.pyenv), "HOME": "", **variables}
        command = ["sh", str(ROOT / "template/chassis/uv"), *arguments]
        return subprocess.check_output(command, cwd=self.project, env=environment, text=True).strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine whose uv finds no Python and whose python3.12 to 3.16 are shims that refuse."""
    machine = Machine(tmp_path)
    machine.has(machine.shims / "uv", UV.format(found=1))
    for minor in range(12, 17):
        machine.has(machine.shims / f"python3.{minor}", REFUSES)
    return machine


def test_what_uv_finds_is_left_to_uv(machine: Machine) -> None:
    """No variable is set when there is nothing to help with."""
    machine.has(machine.shims / "uv", UV.format(found=0))
    assert machine.runs("sync", "--locked") == "nothing sync --locked"


def test_a_choice_is_respected(machine: Machine) -> None:
    """A UV_PYTHON that is set wins."""
    assert machine.runs("sync", UV_PYTHON="3.13") == "3.13 sync"


def test_the_first_python_that_runs(machine: Machine) -> None:
    """A program on PATH counts only if it runs."""
    python = machine.has(machine.shims / "python3.13", WORKS)
    assert machine.runs("sync") == f"{python} sync"


def test_versions_of_pyenv(machine: Machine) -> None:
    """Where the shim refuses, the version behind it does not."""
    python = machine.has(machine.pyenv / "versions/3.12.9/bin/python", WORKS)
    assert machine.runs("sync") == f"{python} sync"


def test_not_older_than_the_project_wants(machine: Machine) -> None:
    """The project's version comes first, then newer ones."""
    machine.has(machine.shims / "python3.12", WORKS)
    newer = machine.has(machine.shims / "python3.14", WORKS)
    (machine.project / ".python-version").write_text("3.13\n", encoding="utf-8")
    assert machine.runs("sync") == f"{newer} sync"


def test_nothing_found(machine: Machine) -> None:
    """Then uv downloads what it needs."""
    assert machine.runs("sync") == "nothing sync"
