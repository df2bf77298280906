"""The project's own checks and evaluation need neither a network nor a key."""

import re
import sys
from dataclasses import replace

import pytest
from shell import Shell

pytestmark = pytest.mark.slow

REACH = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
LISTEN = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 5)"


@pytest.fixture
def cut_off(set_up_project: Shell, no_network: tuple[str, ...]) -> Shell:
    """Return the project as seen from a machine without a network."""
    return replace(set_up_project, prefix=no_network)


def test_the_network_is_cut(cut_off: Shell) -> None:
    """Nothing outside can be reached from there, the machine itself can, and no key is around."""
    assert "Network is unreachable" in cut_off.try_run(sys.executable, "-c", REACH).stderr
    cut_off.run(sys.executable, "-c", LISTEN)
    assert [name for name in cut_off.environment if name.endswith("_API_KEY")] == []


def test_check(cut_off: Shell) -> None:
    """`make check` passes, hooks included."""
    cut_off.run("git", "add", "--all")
    printed = cut_off.run("make", "check")
    assert re.search(r"\d+ passed", printed)
    assert "Failed" not in printed


def test_evals(cut_off: Shell) -> None:
    """`make evals` passes on the answers of the baseline alone."""
    printed = cut_off.run("make", "evals")
    assert "PASS" in printed
    assert "$0.00" in printed
