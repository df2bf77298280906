"""Generated projects pass their own checks on a machine with an empty home and without API keys."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import house
import pytest
from answer_sets import ROOT
from copier import run_update
from former_releases import CURRENT, FORMER_RELEASES, template_with_releases
from generated_project import Generate, git, rendered
from shell import Shell, clean_environment
from update_matrix import CASES, apply_edits, generate_former

pytestmark = pytest.mark.slow

SETS: list[dict[str, Any]] = [
    {},
    {"shape": "blank", "provider": "none", "service_name": "bare-idea", "when_models_fail": "error"},
    {
        "service_name": "acme-bills",
        "provider": "anthropic",
        "data_class": "personal",
        "monthly_budget_usd": 0,
        "when_models_fail": "review",
    },
    {"shape": "blank", "provider": "openai-compatible", "python_version": "3.13", "owner_team": "@solo"},
]
UNSET = ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "UV_PYTHON", "PYTHONDONTWRITEBYTECODE")
OFFLINE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""Runs a command without a network, except for the loopback interface."""

type Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that runs `make` with an empty home and without API keys, but with the cache of uv."""
    home = tmp_path / "home"
    home.mkdir()
    inherited = {
        name: value for name, value in os.environ.items() if name not in UNSET and not name.endswith("_API_KEY")
    }
    cache = subprocess.check_output(["uv", "cache", "dir"], text=True).strip()
    environment = {**inherited, "HOME": str(home), "UV_CACHE_DIR": cache, "GIT_CONFIG_GLOBAL": os.devnull}

    def run(project: Path, *targets: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = [*prefix, "make", *targets]
        return subprocess.run(command, cwd=project, env=environment, check=False, capture_output=True, text=True)

    return run


@pytest.fixture(scope="session")
def offline() -> tuple[str, ...]:
    """Return the prefix that runs a command without a network; empty where that is not possible."""
    possible = shutil.which("unshare") and shutil.which("ip")
    works = possible and subprocess.run([*OFFLINE, "true"], check=False, capture_output=True).returncode == 0
    return OFFLINE if works else ()


@pytest.mark.parametrize("answers", SETS, ids=["default", "blank-none", "anthropic-personal", "blank-own-endpoint"])
def test_build(generate: Generate, make: Make, offline: tuple[str, ...], answers: dict[str, Any]) -> None:
    """After `make setup`, checks and evaluation pass without a network, and change no file that git tracks.

    `make house` and the limit of files count those that git knows of after `make setup`.
    """
    project = generate(**answers)
    expected = house.after_setup(rendered(project), ROOT)
    setup = make(project, "setup")
    assert setup.returncode == 0, setup.stdout + setup.stderr
    assert subprocess.check_output(["git", "ls-files"], cwd=project, text=True).splitlines() == expected

    check = make(project, "check", prefix=offline)
    assert check.returncode == 0, check.stdout + check.stderr
    assert " passed" in check.stdout
    assert "Skipped" not in check.stdout
    evals = make(project, "evals", prefix=offline)
    assert evals.returncode == 0, evals.stdout + evals.stderr

    status = subprocess.check_output(["git", "status", "--porcelain"], cwd=project, text=True)
    assert [line for line in status.splitlines() if not line.startswith("A ")] == []


def test_setup_installs_the_tested_versions(generate: Generate, make: Make) -> None:
    """The first uv.lock contains exactly the tested versions, and pyproject.toml is not changed."""
    project = generate()
    before = rendered(project)["pyproject.toml"]
    locked = make(project, "uv.lock")
    assert locked.returncode == 0, locked.stdout + locked.stderr
    lines = (ROOT / "template/chassis/tested.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if not line.startswith("#"))
    packages = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))["package"]
    versions = {package["name"]: package["version"] for package in packages if "registry" in package["source"]}
    assert versions == {name: tested.get(name) for name in versions}
    assert (project / "pyproject.toml").read_bytes() == before


def test_the_lowest_versions(generate: Generate, tmp_path: Path) -> None:
    """With each direct dependency of both packages at its lower bound, the tests pass and the command works."""
    project = generate()
    git(project, "init", "--quiet")
    (tmp_path / "empty").mkdir()
    shell = Shell(project, clean_environment(tmp_path / "empty"))
    shell.run("sh", "chassis/uv", "sync", "--resolution", "lowest-direct", "--all-packages", "--all-extras")
    installed = shell.run("sh", "chassis/uv", "pip", "list", "--format", "freeze")
    for requirement in ("typer==0.15.4", "pytest==8.3.0", "rich==13.0.0", "asyncpg==0.30.0"):
        assert f"{requirement}\n" in installed
    assert " passed" in shell.run(".venv/bin/pytest", "-rN", "-o", "addopts=")
    for command in (("sync",), ("sync", "--check"), ("evals", "run"), ("ready", "--help"), ("ask", "A refund?")):
        shell.run(".venv/bin/chassis", *command)
    for check in (("ruff", "check"), ("ruff", "format", "--check"), ("ty", "check")):
        shell.run(f".venv/bin/{check[0]}", *check[1:])


def test_first_steps(generate: Generate, make: Make) -> None:
    """`make` lists the targets; a target that needs the environment says how to create it."""
    project = generate()
    assert "make setup" in make(project).stdout
    check = make(project, "check")
    assert check.returncode == 2
    assert "Run: make setup" in check.stderr


def test_an_edited_service_passes_its_own_checks_after_an_update(
    tmp_path: Path, make: Make, offline: tuple[str, ...]
) -> None:
    """After an update from a former release with the standard edits, `make setup` is the only step needed."""
    source = template_with_releases(tmp_path / "template")
    project = generate_former(source, FORMER_RELEASES[-1], tmp_path / "project")
    apply_edits(project, CASES[1])
    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref=CURRENT)
    setup = make(project, "setup")
    assert setup.returncode == 0, setup.stdout + setup.stderr
    check = make(project, "check", prefix=offline)
    assert check.returncode == 0, check.stdout + check.stderr
