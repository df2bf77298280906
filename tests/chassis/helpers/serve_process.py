"""`chassis serve` as a process of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

PROGRAM = "from chassis.cli.main import main; main()"


@contextmanager
def process(
    root: Path, *arguments: str, program: str = PROGRAM, **environment: str
) -> Generator[subprocess.Popen[str]]:
    """Run `chassis serve` in the repository at `root`, and kill it when the context ends."""
    command = [sys.executable, "-c", program, "serve", *arguments]
    path = os.pathsep.join([str(root), *sys.path])
    started = subprocess.Popen(
        command,
        cwd=root,
        env=os.environ | {"PYTHONPATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def first_match(stream: Iterable[str], pattern: str) -> str:
    """Return the first group of the first line that matches."""
    return next(match[1] for line in stream if (match := re.search(pattern, line)))
