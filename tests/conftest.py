"""The template, and projects made from it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generated import Generate, copy_template, generate_into
from visitor import Visitor, copy_door, release

DECISIONS = ("constraints.toml", "ownership.toml", "pyproject.toml")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the template as it lies in the working tree, without git."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def generated_once(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Path]:
    """Return a function that gives the project of some answers, for reading only; Copier takes seconds for each."""
    projects: dict[str, Path] = {}

    def project(answers: dict[str, Any]) -> Path:
        name = json.dumps(answers, sort_keys=True)
        if name not in projects:
            projects[name] = generate_into(tmp_path_factory.mktemp("generated") / "project", template, answers)
        return projects[name]

    return project


@pytest.fixture
def generate(generated_once: Callable[[dict[str, Any]], Path], tmp_path: Path) -> Generate:
    """Return a function that gives a project to work in; what is not answered takes its default."""

    def project(**answers: Any) -> Path:
        return Path(shutil.copytree(generated_once(answers), tmp_path / "project", symlinks=True))

    return project


@pytest.fixture(scope="session")
def decisions(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with little more than the files of decisions, which Copier renders in no time."""
    slim = tmp_path_factory.mktemp("decisions")
    for file in ("copier.yml", "template/chassis/paths.txt", *(f"template/{name}.jinja" for name in DECISIONS)):
        (slim / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(template / file, slim / file)
    return slim


@pytest.fixture
def decide(decisions: Path, tmp_path: Path) -> Generate:
    """Return a function that gives only the files of decisions; what is not answered takes its default."""
    return lambda **answers: generate_into(tmp_path / "decided", decisions, answers)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of the template and of its door for cookiecutter, with one release."""
    source = copy_door(tmp_path_factory.mktemp("source"))
    release(source, "1.0.0")
    return source


@pytest.fixture
def visitor(tmp_path: Path) -> Visitor:
    """Return somebody with a home of their own."""
    return Visitor(tmp_path / "home")
