"""Runs programs as a person does, with the environment of somebody who has just arrived, and leaves none behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import pytest

PATIENCE = 60.0
"""Seconds until a program that says nothing counts as hanging."""
FORGOTTEN = re.compile(
    r"(OTEL|CHASSIS|PYTEST|PYTHON|MAKE|GIT_AUTHOR|GIT_COMMITTER)\w*"
    r"|\w+_API_KEY|VIRTUAL_ENV|UV_PYTHON|MFLAGS|DATABASE_URL|LOCAL_MODEL_URL"
)
"""Variables of whoever runs the tests, which a newcomer does not have."""


def newcomer(home: Path) -> dict[str, str]:
    """Return the environment of somebody with an empty home, no key and no settings; only the cache of uv is warm."""
    kept = {name: value for name, value in os.environ.items() if not FORGOTTEN.fullmatch(name)}
    cache = subprocess.check_output(["uv", "cache", "dir"], text=True).strip()
    return kept | {"HOME": str(home), "UV_CACHE_DIR": cache, "GIT_CONFIG_GLOBAL": os.devnull, "NO_COLOR": "1"}


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs until it is stopped; what it prints goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path

    def printed(self) -> str:
        """Return all that it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def says(self, pattern: str, within: float = PATIENCE) -> str:
        """Wait until it prints something that fits, and return the first group, or all if there is none.

        Raises:
            AssertionError: It ends before, or takes too long.
        """
        deadline = time.monotonic() + within
        while True:
            alive = self.process.poll() is None
            if found := re.search(pattern, self.printed(), re.MULTILINE):
                return found[found.lastindex or 0]
            assert alive, f"it ended without saying {pattern!r}:\n{self.printed()}"
            assert time.monotonic() < deadline, f"it does not say {pattern!r}:\n{self.printed()}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it and its children to end, as SIGTERM does, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It does not end; it is killed then.
        """
        try:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGTERM)
            return self.process.wait(PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Shell:
    """Where programs run.

    Args:
        folder: The working directory.
        environment: All of their variables.
        prefix: What stands before each command.
    """

    folder: Path
    environment: dict[str, str] = field(repr=False)
    prefix: tuple[str, ...] = ()

    def knowing(self, **variables: str) -> Self:
        """Return the same with more variables."""
        return replace(self, environment=self.environment | variables)

    def tries(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        return subprocess.run(
            [*self.prefix, *command],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE,
        )

    def runs(self, *command: str) -> str:
        """Run a command that must succeed, and return what it prints.

        Raises:
            AssertionError: It fails.
        """
        done = self.tries(*command)
        assert done.returncode == 0, f"{command} exits with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def starts(self, *command: str) -> Generator[Program]:
        """Run a command in the background as long as the context lasts."""
        with tempfile.NamedTemporaryFile() as output:
            process = subprocess.Popen(
                [*self.prefix, *command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            program = Program(process, Path(output.name))
            try:
                yield program
            finally:
                program.stop()


def tool(requirement: str, *command: str, python: str = sys.executable) -> tuple[str, ...]:
    """Return a command that runs in an environment of its own, made from the package index."""
    return ("uv", "run", "--quiet", "--no-project", "--python", python, "--with", requirement, "--", *command)


def free_port() -> int:
    """Return a port that nobody listens on, for programs that cannot choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def needs(program: str) -> None:
    """Skip the test where a program of the platform is missing."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
