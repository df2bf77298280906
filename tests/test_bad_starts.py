"""Whatever is wrong, a person reads one sentence that says what, with the value, and what to write instead."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_starts import BAD_STARTS, BadStart
from generated_project import Generate

CHASSIS = Path(sys.executable).parent / "chassis"


@pytest.fixture
def busy_port() -> Iterator[int]:
    """Return a port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD_STARTS, ids=lambda bad: bad.what)
def test_a_mistake_gets_one_sentence(generate: Generate, busy_port: int, bad: BadStart) -> None:
    """No traceback, the right exit code, and the sentence of the table."""
    project = generate()
    spoil(project, bad)
    command = [word.format(port=busy_port) for word in bad.command]

    done = subprocess.run(
        [CHASSIS, *command],
        cwd=project,
        env={**without_keys(), "PYTHONPATH": str(project / "src"), "COLUMNS": "300", **bad.variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == bad.exit_code, done.stderr
    assert bad.says.format(port=busy_port) in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def spoil(project: Path, bad: BadStart) -> None:
    """Make the mistake."""
    if bad.file is None:
        return
    file = project / bad.file
    match bad:
        case BadStart(old=None, new=None):
            file.unlink()
        case BadStart(old=None, new=bytes(content)):
            file.write_bytes(content)
        case BadStart(old=None, new=str(content)):
            file.write_text(content, encoding="utf-8")
        case BadStart(old=old, new=new):
            assert isinstance(old, str)
            assert isinstance(new, str)
            before = file.read_text(encoding="utf-8")
            assert old in before, "the table no longer fits the template"
            file.write_text(before.replace(old, new, 1), encoding="utf-8")


def without_keys() -> dict[str, str]:
    """Return the environment of somebody who has no key of any model."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
