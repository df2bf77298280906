"""A generated project that is set up once, and a machine without a network."""

from collections.abc import Generator
from pathlib import Path

import pytest
from generated_project import generate_into
from running_service import Service, serve
from shell import Shell, clean_environment

CUT_OFF = "ip link set lo up && echo $$ && exec sleep infinity"
"""Holds a network of its own, in which only this machine exists; others join it by the number of the process."""


@pytest.fixture(scope="session")
def newcomers_shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a shell in an empty folder."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "home").mkdir()
    (folder / "work").mkdir()
    return Shell(folder / "work", clean_environment(folder / "home"))


@pytest.fixture(scope="session")
def set_up_project(template: Path, newcomers_shell: Shell) -> Shell:
    """Return a project with the default answers, after `make setup`."""
    root = generate_into(newcomers_shell.folder / "acme-help", template, {})
    shell = Shell(root, newcomers_shell.environment)
    shell.run("make", "setup")
    return shell


@pytest.fixture(scope="module")
def project(set_up_project: Shell, tmp_path_factory: pytest.TempPathFactory) -> Generator[Shell]:
    """Return that project with an empty database, and undo what a test of it may change."""
    constraints = set_up_project.folder / "constraints.toml"
    before = constraints.read_bytes()
    database = tmp_path_factory.mktemp("database") / "service.db"
    yield set_up_project.with_variables(CHASSIS_DATABASE_URL=f"sqlite:///{database}")
    constraints.write_bytes(before)
    (set_up_project.folder / "var/local-model.env").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def service(project: Shell) -> Generator[Service]:
    """Return that project, served."""
    with serve(project) as service:
        yield service


@pytest.fixture(scope="session")
def no_network_if_possible(newcomers_shell: Shell) -> Generator[tuple[str, ...]]:
    """Return what cuts the network off a command that it precedes, or nothing where that is not permitted."""
    with newcomers_shell.start("sh", "-c", f"unshare --net sh -c '{CUT_OFF}' || echo refused") as holder:
        process = holder.wait_for(r"^(\d+|refused)$")
        yield () if process == "refused" else ("nsenter", f"--net=/proc/{process}/ns/net")


@pytest.fixture(scope="session")
def no_network(no_network_if_possible: tuple[str, ...]) -> tuple[str, ...]:
    """Return what cuts the network off a command that it precedes."""
    if not no_network_if_possible:
        pytest.skip("the network cannot be cut here: `unshare --net` is not permitted")
    return no_network_if_possible
