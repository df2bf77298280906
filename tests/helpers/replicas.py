"""Replicas of one service, as processes that can be killed and started again; each life writes a log of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

START_SECONDS = 240.0


@dataclass
class Replica:
    """One life after the other of `chassis serve`.

    Args:
        root: The team's repository.
        name: Part of the names of its logs.
        environment: What it runs with, beside this process's own.
        logs: One file for each life.
    """

    root: Path
    name: str
    environment: dict[str, str]
    logs: list[Path] = field(default_factory=list)
    address: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Begin a life; it takes calls after `wait`."""
        self.logs.append(self.root / f"{self.name}.{len(self.logs)}.log")
        path = os.pathsep.join([str(self.root), *sys.path])
        with self.logs[-1].open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from chassis.cli.main import main; main()", "serve", "--port", "0"],
                cwd=self.root,
                env=os.environ | {"PYTHONPATH": path, "CHASSIS_ENV": "production"} | self.environment,
                stderr=log,
            )

    def wait(self) -> None:
        """Wait until it takes calls."""
        give_up_at = time.monotonic() + START_SECONDS
        while not (started := [line for line in lines_of(self.logs[-1]) if line["event"] == "service.started"]):
            assert self.process
            assert self.process.poll() is None, self.logs[-1].read_text()
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        self.address = started[0]["address"]
        while httpx2.get(f"{self.address}/readyz").status_code != 200:
            time.sleep(0.05)

    def kill(self) -> None:
        """End this life without a word."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Tell it to go, and return the code with which it goes."""
        assert self.process
        self.process.terminate()
        return self.process.wait()


@contextmanager
def replicas(root: Path, count: int, **environment: str) -> Generator[list[Replica]]:
    """Run so many replicas while the context lasts."""
    all_of_them = [Replica(root, f"replica-{number}", environment) for number in range(count)]
    try:
        for replica in all_of_them:
            replica.start()
        for replica in all_of_them:
            replica.wait()
        yield all_of_them
    finally:
        for replica in all_of_them:
            if replica.process and replica.process.poll() is None:
                replica.kill()


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log; the last one of a process that was killed may be half a line."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
