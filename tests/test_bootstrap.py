"""`chassis/uv` finds a Python where uv does not, and the make targets say what they need."""

import os
import subprocess
from pathlib import Path

import pytest
from answer_sets import ROOT
from generated_project import GenerateOnce

UV = """\
#!/bin/sh
case "$1" in
    --version) ;;
    python) exit {found} ;;
    *) echo "${{UV_PYTHON:-nothing}} $*" ;;
esac
"""
"""A fake uv that finds a Python or not, and prints UV_PYTHON and its arguments."""

WORKING, FAILING = "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 127\n"


class Machine:
    """A project folder, and a PATH that begins with fake programs."""

    def __init__(self, folder: Path) -> None:
        self.project, self.shims, self.pyenv = folder / "project", folder / "bin", folder / "pyenv"
        self.project.mkdir()

    def install(self, path: Path, script: str) -> Path:
        """Create a program and return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
        return path

    def chassis_uv(self, *arguments: str, **variables: str) -> str:
        """Run `chassis/uv` and return its output."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        path = f"{self.shims}:/usr/bin:/bin"
        environment = {**inherited, "PATH": path, "PYENV_ROOT": str(self.pyenv), "HOME": "", **variables}
        command = ["sh", str(ROOT / "template/chassis/uv"), *arguments]
        return subprocess.check_output(command, cwd=self.project, env=environment, text=True).strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine whose uv finds no Python and whose python3.12 to python3.16 are failing shims."""
    machine = Machine(tmp_path)
    machine.install(machine.shims / "uv", UV.format(found=1))
    for minor in range(12, 17):
        machine.install(machine.shims / f"python3.{minor}", FAILING)
    return machine


def test_uv_finds_python(machine: Machine) -> None:
    """If uv finds a Python, UV_PYTHON is not set."""
    machine.install(machine.shims / "uv", UV.format(found=0))
    assert machine.chassis_uv("sync", "--locked") == "nothing sync --locked"


def test_the_python_of_another_environment(machine: Machine) -> None:
    """What uv finds only in an environment that happens to be on PATH is not used for a new one."""
    machine.install(machine.shims / "uv", UV.format(found='$(case "$*" in *--system*) echo 1;; *) echo 0;; esac)'))
    python = machine.install(machine.shims / "python3.13", WORKING)
    assert machine.chassis_uv("sync") == f"{python} sync"


@pytest.mark.parametrize("folder", [".venv", "elsewhere"])
def test_the_environment_of_the_project(machine: Machine, folder: str) -> None:
    """An environment that exists keeps its Python."""
    machine.install(machine.shims / "python3.13", WORKING)
    machine.install(machine.project / folder / "bin/python", WORKING)
    variables = {} if folder == ".venv" else {"UV_PROJECT_ENVIRONMENT": folder}
    assert machine.chassis_uv("sync", **variables) == "nothing sync"


def test_uv_python_is_respected(machine: Machine) -> None:
    """If UV_PYTHON is set, it is used."""
    assert machine.chassis_uv("sync", UV_PYTHON="3.13") == "3.13 sync"


def test_the_first_python_that_runs(machine: Machine) -> None:
    """A program on PATH counts only if it runs."""
    python = machine.install(machine.shims / "python3.13", WORKING)
    assert machine.chassis_uv("sync") == f"{python} sync"


def test_versions_of_pyenv(machine: Machine) -> None:
    """If a shim fails, the version that pyenv has installed is used."""
    python = machine.install(machine.pyenv / "versions/3.12.9/bin/python", WORKING)
    assert machine.chassis_uv("sync") == f"{python} sync"


def test_at_least_the_version_of_the_project(machine: Machine) -> None:
    """The version in .python-version is tried first, then newer ones."""
    machine.install(machine.shims / "python3.12", WORKING)
    newer = machine.install(machine.shims / "python3.14", WORKING)
    (machine.project / ".python-version").write_text("3.13\n", encoding="utf-8")
    assert machine.chassis_uv("sync") == f"{newer} sync"


def test_no_python(machine: Machine) -> None:
    """UV_PYTHON is not set, and uv downloads a Python."""
    assert machine.chassis_uv("sync") == "nothing sync"


def make(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make in a project that is not set up."""
    unset = {"UV_PROJECT_ENVIRONMENT", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "Q", "PORT"}
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=project, env=inherited | variables, check=False, capture_output=True, text=True)


def test_make_knows_where_uv_installs(generated_once: GenerateOnce, tmp_path: Path) -> None:
    """Nothing is installed yet, unless the environment is where UV_PROJECT_ENVIRONMENT says."""
    project = generated_once({})
    missing = make(project, "test")
    assert (missing.returncode, missing.stderr.splitlines()[0]) == (2, "Nothing is installed yet. Run: make setup")
    for target in ("check", "fix", "test", "serve", "evals"):
        assert make(project, "--dry-run", target, UV_PROJECT_ENVIRONMENT=str(tmp_path)).returncode == 0
    assert make(project, "--dry-run", "test", UV_PROJECT_ENVIRONMENT="elsewhere").stdout.count("make setup") == 1


@pytest.mark.parametrize("arguments", [("ask",), ("ask", "Q="), ("ask", "Q")])
def test_a_question_is_needed(generated_once: GenerateOnce, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Without one, make says how to ask."""
    done = make(generated_once({}), *arguments, UV_PROJECT_ENVIRONMENT=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith('Usage: make ask Q="How do I change the budget?"\n')


def test_another_port(generated_once: GenerateOnce, tmp_path: Path) -> None:
    """The port is an option of the command; without one, there is no option."""
    for variables, command in (((), "chassis serve"), (("PORT=8080",), 'chassis serve --port "8080"')):
        done = make(generated_once({}), "--dry-run", "serve", *variables, UV_PROJECT_ENVIRONMENT=str(tmp_path))
        assert done.stdout.strip().endswith(command)
