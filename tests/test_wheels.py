"""The two packages as wheels: the runtime works alone, and the tools add their commands to it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from answer_sets import ROOT
from command_list import RUNTIME_COMMANDS, TOOLS_COMMANDS, WIDE, listed_commands

pytestmark = pytest.mark.slow

PACKAGES = {"ai_service_chassis": "template/chassis", "ai_service_chassis_tools": "template/chassis/tools"}
IMPORT_EVERYTHING = """
import importlib, pkgutil, chassis
for module in pkgutil.walk_packages(chassis.__path__, "chassis."):
    if module.name != "chassis.testing":  # for tests, so it needs pytest
        importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the wheel of each package, built from its source distribution as a package index would get it."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in PACKAGES.values():
        run("uv", "build", "--quiet", "--out-dir", str(folder), str(ROOT / source))
    return {name: next(folder.glob(f"{name}-*.whl")) for name in PACKAGES}


def run(*command: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(command, cwd="/", check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(environment: Path, *requirements: str) -> Path:
    """Install packages and what they require into a new environment, and return the folder of its programs."""
    run("uv", "venv", "--quiet", "--python", sys.executable, str(environment))
    run("uv", "pip", "install", "--quiet", "--python", str(environment), *requirements)
    return environment / "bin"


def test_each_wheel_has_its_package_alone(wheels: dict[str, Path]) -> None:
    """All files of the package that are not Python's own cache, and nothing else but metadata."""
    for name, source in PACKAGES.items():
        folder = ROOT / source / "src"
        files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
        packed = {path for path in zipfile.ZipFile(wheels[name]).namelist() if ".dist-info/" not in path}
        assert {path for path in packed if not path.endswith("/")} == {str(path.relative_to(folder)) for path in files}


def test_the_runtime_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    """Its command lists what serves and operates a service; with its extras each module can be imported."""
    wheel = str(wheels["ai_service_chassis"])
    programs = install(tmp_path / "environment", wheel)
    assert listed_commands(run(*WIDE, str(programs / "chassis"), "--help")) == RUNTIME_COMMANDS
    run("uv", "pip", "install", "--quiet", "--python", str(programs / "python"), f"{wheel}[documents,postgres,search]")
    run(str(programs / "python"), "-c", IMPORT_EVERYTHING)


def test_the_tools_add_their_commands(wheels: dict[str, Path], tmp_path: Path) -> None:
    """Both packages share one command."""
    programs = install(tmp_path / "environment", *map(str, wheels.values()))
    assert listed_commands(run(*WIDE, str(programs / "chassis"), "--help")) == RUNTIME_COMMANDS | TOOLS_COMMANDS
