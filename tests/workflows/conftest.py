"""A generated project, set up once, and a simulated forge for each test."""

from collections.abc import Generator
from pathlib import Path

import pytest
from act_runner import REPOSITORY, Forge, forge, restore
from generated_project import commit, generate_into, git
from shell import Shell, clean_environment


@pytest.fixture(scope="session")
def pushed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a project that is set up and committed."""
    folder = tmp_path_factory.mktemp("pushed")
    (folder / "home").mkdir()
    project = Shell(generate_into(folder / "acme-help", template, {}), clean_environment(folder / "home"))
    project.run("make", "setup")
    commit(project.folder, "As generated", "--no-verify")
    git(project.folder, "remote", "add", "origin", f"https://github.com/{REPOSITORY}.git")
    return project


@pytest.fixture
def github(pushed: Shell, tmp_path: Path) -> Generator[Forge]:
    """Return the simulated forge of that project, and restore the project's files afterwards."""
    revision = git(pushed.folder, "rev-parse", "HEAD").strip()
    yield forge(pushed, tmp_path)
    restore(pushed, revision)
