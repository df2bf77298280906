"""Runs programs with a clean environment, and stops all those that it started."""

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

TIMEOUT_SECONDS = 60.0
"""How long a program may take to print what a test waits for."""
UNSET_VARIABLES = re.compile(
    r"(OTEL|CHASSIS|PYTEST|PYTHON|MAKE|GIT_AUTHOR|GIT_COMMITTER)\w*"
    r"|\w+_API_KEY|VIRTUAL_ENV|UV_PYTHON|MFLAGS"
)
"""Variables of the developer's environment that a new user would not have."""


def clean_environment(home: Path) -> dict[str, str]:
    """Return the environment of a user with an empty home, without keys and settings, but with the cache of uv."""
    inherited = {name: value for name, value in os.environ.items() if not UNSET_VARIABLES.fullmatch(name)}
    cache = subprocess.check_output(["uv", "cache", "dir"], text=True).strip()
    return inherited | {"HOME": str(home), "UV_CACHE_DIR": cache, "GIT_CONFIG_GLOBAL": os.devnull, "NO_COLOR": "1"}


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs in the background and writes its output to a file."""

    process: subprocess.Popen[bytes]
    output_file: Path

    def output(self) -> str:
        """Return everything that it has printed so far."""
        return self.output_file.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str, within: float = TIMEOUT_SECONDS) -> str:
        """Wait until its output matches a pattern, and return the last group of the match, or the whole match.

        Raises:
            AssertionError: It ends first, or takes too long.
        """
        deadline = time.monotonic() + within
        while True:
            alive = self.process.poll() is None
            if match := re.search(pattern, self.output(), re.MULTILINE):
                return match[match.lastindex or 0]
            assert alive, f"it ended without printing {pattern!r}:\n{self.output()}"
            assert time.monotonic() < deadline, f"it did not print {pattern!r}:\n{self.output()}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Send SIGTERM to it and its children, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It does not end and was killed.
        """
        try:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGTERM)
            return self.process.wait(TIMEOUT_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Shell:
    """A folder and an environment to run programs in.

    Args:
        folder: The working directory.
        environment: The environment variables.
        prefix: Arguments to put in front of each command.
    """

    folder: Path
    environment: dict[str, str] = field(repr=False)
    prefix: tuple[str, ...] = ()

    def with_variables(self, **variables: str) -> Self:
        """Return a copy with additional environment variables."""
        return replace(self, environment=self.environment | variables)

    def try_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command and return the result, whether it succeeds or fails."""
        return subprocess.run(
            [*self.prefix, *command],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=10 * TIMEOUT_SECONDS,
        )

    def run(self, *command: str) -> str:
        """Run a command that must succeed, and return its standard output.

        Raises:
            AssertionError: It fails.
        """
        done = self.try_run(*command)
        assert done.returncode == 0, f"{command} exits with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def start(self, *command: str) -> Generator[Program]:
        """Run a command in the background until the context ends."""
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


def isolated_command(requirement: str, *command: str, python: str = sys.executable) -> tuple[str, ...]:
    """Return a command that runs in a temporary environment with one more requirement installed."""
    return ("uv", "run", "--quiet", "--no-project", "--python", python, "--with", requirement, "--", *command)


def free_port() -> int:
    """Return an unused port, for programs that cannot choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def require_program(program: str) -> None:
    """Skip the test if a system program is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
