"""The template, and projects generated from it."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from cookiecutter_user import CookiecutterUser, copy_cookiecutter_template
from generated_project import Generate, GenerateOnce, SharedProjects, generate_into, git
from quick_copier import quick_copier, write_quick_copier
from template_releases import tag_release

DECISIONS = ("constraints.toml", "ownership.toml", "pyproject.toml")
LONGEST_FILES = (
    "test_faults.py",
    "test_ready.py",
    "test_evals_run.py",
    "test_constraint_keys.py",
    "test_openai_requests.py",
    "test_model_failures.py",
    "test_adopt_fixtures.py",
    "test_benchmarks.py",
    "test_update_matrix.py",
    "test_builds.py",
    "test_adopt.py",
    "test_runs.py",
    "test_cookiecutter.py",
    "test_readme.py",
    "test_update_repositories.py",
    "test_live_evals.py",
    "test_gitlab.py",
    "test_container.py",
    "test_update_command.py",
    "test_storm.py",
)
"""The test files that take longest, the longest first: those of the quick tests, and those of the slow ones."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first, so that all workers end at about the same time."""
    rank = {name: number for number, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def quick_copier_in_process() -> Generator[None]:
    """Spare each call of Copier in this process what changes no file; test_generate compares it with the real one."""
    with quick_copier():
        yield


@pytest.fixture(scope="module")
def quick_copier_on_path(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Let `chassis update` find such a Copier, too."""
    folder = tmp_path_factory.mktemp("bin")
    write_quick_copier(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def shared_projects(tmp_path_factory: pytest.TempPathFactory) -> SharedProjects:
    """Return the projects that all workers of pytest share."""
    base = tmp_path_factory.getbasetemp()
    return SharedProjects((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared")


@pytest.fixture(scope="session")
def template(shared_projects: SharedProjects) -> Path:
    """Return a copy of the template from the working tree, without git; read-only."""
    return shared_projects.template()


@pytest.fixture(scope="session")
def generated_once(shared_projects: SharedProjects) -> GenerateOnce:
    """Return a function that returns the project of some answers; read-only."""
    return shared_projects.project


@pytest.fixture
def generate(generated_once: GenerateOnce, tmp_path: Path) -> Generate:
    """Return a function that generates a project to work in, with defaults for the other answers."""

    def project(**answers: Any) -> Path:
        return Path(shutil.copytree(generated_once(answers), tmp_path / "project", symlinks=True))

    return project


@pytest.fixture(scope="session")
def decisions(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template reduced to the files of the team's decisions, which Copier renders quickly."""
    slim = tmp_path_factory.mktemp("decisions")
    for file in ("copier.yml", "template/chassis/paths.txt", *(f"template/{name}.jinja" for name in DECISIONS)):
        (slim / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(template / file, slim / file)
    return slim


@pytest.fixture
def decide(decisions: Path, tmp_path: Path) -> Generate:
    """Return a function that generates only these files, with defaults for the other answers."""

    def project(**answers: Any) -> Path:
        return generate_into(tmp_path / "decided", decisions, answers)

    return project


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of the template with one release, for Copier and for cookiecutter."""
    source = copy_cookiecutter_template(tmp_path_factory.mktemp("source"))
    git(source, "init", "--quiet", "--initial-branch", "main")
    tag_release(source, "1.0.0")
    return source


@pytest.fixture
def cookiecutter_user(tmp_path: Path) -> CookiecutterUser:
    """Return a user of cookiecutter with an empty home."""
    return CookiecutterUser(tmp_path / "home")
