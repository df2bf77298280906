"""Runs another program, ends everything it started if it takes too long, and finds its reason if it fails."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from chassis.errors import ConfigError

GRACE_SECONDS = 10.0
"""How long a program has to end by itself after an interrupt."""
TERMINAL_COLORS = re.compile(r"\x1b\[[0-9;]*m")
QUOTED_OUTPUT = re.compile(r"\A(?:Std(?:err|out):)?\s*\| ?")
"""How plumbum, with which Copier runs git, puts the output of a program into its own error message."""
REASON = re.compile(r"\A(?:fatal|error|×)[: ]\s*", re.IGNORECASE)
"""How git and uv begin the line with the reason. What follows is advice."""
CONTINUATION = re.compile(r"\A(?:\s+(?:caused by:|╰─▶)?|╰─▶)\s*", re.IGNORECASE)
UNSPECIFIC = "Could not read from remote repository"
"""Git's last word if ssh failed; ssh gives the reason on the line before."""


def run_program(
    command: Sequence[str],
    folder: Path,
    *,
    name: str,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, and return its output with every byte that is not UTF-8 escaped.

    Args:
        command: The program and its arguments.
        folder: The working directory.
        name: What an error message calls it.
        timeout_seconds: The time after which it is ended.
        environment: The environment variables; the current ones if it is None.
        stdin: Its standard input.

    Raises:
        ConfigError: It is not installed, or it took too long. It and all programs that it started have ended then.
    """
    try:
        # In a process group of its own, because git and uv start programs that would outlive them.
        process = subprocess.Popen(  # noqa: S603 - the callers choose the program and its arguments
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ConfigError(command[0], "the program is not on PATH", f"Install {command[0]}") from None
    with process:
        try:
            output, errors = process.communicate(stdin.encode(errors="surrogateescape"), timeout_seconds)
        except subprocess.TimeoutExpired:
            _end_group(process)
            raise ConfigError(name, f"no answer within {timeout_seconds:g} seconds", "Try again later") from None
        except BaseException:
            _end_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, *map(_decode, (output, errors)))


def failure_reason(stderr: str) -> str:
    """Return why a program failed, on one line without a period, from what it printed to standard error.

    Git and uv mark the reason and let advice follow; other programs, and Python, print it last.
    """
    plain = (QUOTED_OUTPUT.sub("", line) for line in TERMINAL_COLORS.sub("", stderr).splitlines())
    lines = [line.rstrip() for line in plain if line.strip()]
    first = next((number for number, line in enumerate(lines) if REASON.match(line.strip())), None)
    if first is None:
        return lines[-1].strip().rstrip(".") if lines else "it failed without a message"
    if first and UNSPECIFIC in lines[first]:
        return lines[first - 1].strip().rstrip(".")
    reason = [REASON.sub("", lines[first].strip())]
    for line in lines[first + 1 :]:
        if not CONTINUATION.match(line):
            break
        reason.append(CONTINUATION.sub("", line))
    return " ".join(reason).rstrip(".")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: first with an interrupt, so that an update can restore the repository."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _decode(output: bytes) -> str:
    return output.decode(errors="surrogateescape")
