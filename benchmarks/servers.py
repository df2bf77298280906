"""Servers that are measured from outside: a group of processes, its CPU time, and the door that takes questions."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

PROCESSES = Path("/proc")
POLL_SECONDS = 0.05


class NotServing(Exception):
    """A server ended before it answered."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where a running server takes a question.

    Args:
        group: The group of all its processes.
        address: What is posted to.
        key: Lets the client in.
        asking: Returns the body that asks a question.
    """

    group: int
    address: str
    key: str
    asking: Callable[[str], Mapping[str, Any]]


@contextmanager
def running(
    command: Sequence[str], port: int, health: str, environment: Mapping[str, str], folder: Path
) -> Generator[int]:
    """Run a server and name the group of its processes, once it answers at the path `health`.

    Raises:
        NotServing: It ended before.
    """
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
    ) as process:
        try:
            while not answers(port, health):
                if process.poll() is not None:
                    raise NotServing(" ".join(command))
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def answers(port: int, health: str) -> bool:
    """Return whether a server of this machine is well, after a moment if it is not."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{health}"):
            return True
    except (URLError, ConnectionError):
        time.sleep(POLL_SECONDS)
        return False


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def cpu_seconds(group: int) -> float:
    """Return the CPU time of a group of processes and all their threads; where there is no /proc, `ps` knows."""
    if PROCESSES.exists():
        return sum(_ticks(process, group) for process in PROCESSES.glob("[0-9]*")) / os.sysconf("SC_CLK_TCK")
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,time="], check=True, capture_output=True, text=True).stdout
    clocks = (line.split() for line in listed.splitlines())
    return sum(_seconds(clock) for member_of, clock in clocks if member_of == f"{group}")


def _ticks(process: Path, group: int) -> int:
    """Return what proc(5) says of a process: its own time and that of the children that it has waited for."""
    try:
        after_name = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    return sum(map(int, after_name[11:15])) if int(after_name[2]) == group else 0


def _seconds(clock: str) -> float:
    return sum(float(part) * 60**place for place, part in enumerate(reversed(clock.split(":"))))
