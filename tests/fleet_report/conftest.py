"""A template with two releases, and a repository generated from the first."""

import shutil
from pathlib import Path

import pytest
from generated_project import git
from template_releases import append_line, generate_repository, tag_release, template_repository


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with two releases."""
    source = template_repository(tmp_path_factory.mktemp("fleet") / "template")
    tag_release(source, "1.0.0")
    append_line(source / "template/chassis/README.md", "Of the second release.")
    tag_release(source, "1.1.0")
    return source


@pytest.fixture(scope="session")
def service(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an unchanged repository of the first release."""
    return generate_repository(template, "1.0.0", tmp_path_factory.mktemp("service") / "acme-help")


@pytest.fixture
def clone(service: Path, tmp_path: Path) -> Path:
    """Return a copy of that repository to change, inside a folder that is a repository too."""
    git(tmp_path, "init", "--quiet")
    return shutil.copytree(service, tmp_path / "acme-help")
