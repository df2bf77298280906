"""The template, and projects made from it."""

from pathlib import Path
from typing import Any

import pytest
from generated import Generate, copy_template, generate_into
from visitor import Visitor, copy_door, release


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the template as it lies in the working tree, without git."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def generate(template: Path, tmp_path: Path) -> Generate:
    """Return a function that generates a project from answers; what is not given takes its default."""

    def project(**answers: Any) -> Path:
        return generate_into(tmp_path / "project", template, answers)

    return project


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
