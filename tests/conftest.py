"""The template, and projects made from it."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cookiecutter_user import CookiecutterUser, copy_cookiecutter_template, first_release
from generated_project import Generate, Once, Shelf, generate_into

DECISIONS = ("constraints.toml", "ownership.toml", "pyproject.toml")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Return what all workers of pytest share."""
    base = tmp_path_factory.getbasetemp()
    return Shelf((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shelf")


@pytest.fixture(scope="session")
def template(shelf: Shelf) -> Path:
    """Return a copy of the template as it lies in the working tree, without git; for reading only."""
    return shelf.template()


@pytest.fixture(scope="session")
def generated_once(shelf: Shelf) -> Once:
    """Return a function that gives the project of some answers, for reading only."""
    return shelf.project


@pytest.fixture
def generate(generated_once: Once, tmp_path: Path) -> Generate:
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

    def project(**answers: Any) -> Path:
        return generate_into(tmp_path / "decided", decisions, answers)

    return project


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of the template with one release, for Copier and for cookiecutter."""
    source = copy_cookiecutter_template(tmp_path_factory.mktemp("source"))
    first_release(source, "1.0.0")
    return source


@pytest.fixture
def cookiecutter_user(tmp_path: Path) -> CookiecutterUser:
    """Return a user of cookiecutter with an empty home."""
    return CookiecutterUser(tmp_path / "home")
