"""From nothing to an answer: generate a service from the working tree, set it up, ask it, check it."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "build/demo"
QUESTION = "What happens when the monthly budget is used up?"
OURS = ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""Variables of this repository's own environment, which the demo must not inherit."""


def environment() -> dict[str, str]:
    """Return the environment of somebody who has just cloned and has no key of any model."""
    return {name: value for name, value in os.environ.items() if name not in OURS and not name.endswith("_API_KEY")}


def step(title: str, *command: str, cwd: Path = DEMO) -> float:
    """Run one command for everybody to see and return its seconds; end the demo if it fails."""
    print(f"\n\033[1m{title}\033[0m\n$ {subprocess.list2cmdline(command)}", flush=True)
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=environment(), check=False)
    if done.returncode:
        sys.exit(f"{title}: the command above ended with exit code {done.returncode}")
    return time.monotonic() - started


def size(folder: Path) -> str:
    """Return how many files lie in a folder and how much they weigh, each inode once."""
    files = [path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    megabytes = sum({file.st_ino: file.st_size for file in files}.values()) / 1e6
    return f"{len(files)} files, {megabytes:.1f} MB"


def main() -> None:
    """Walk through the first minutes of a new service."""
    shutil.rmtree(DEMO, ignore_errors=True)
    source = ("--quiet", "--defaults", "--vcs-ref", "HEAD", str(ROOT), str(DEMO))
    seconds = {"generate": step("Generate, with the default answers", "copier", "copy", *source, cwd=ROOT)}
    generated = size(DEMO)
    step("A repository of its own", "git", "init", "--quiet", "--initial-branch", "main")
    seconds["set up"] = step("Set it up", "make", "setup")
    seconds["ask"] = step("Ask it, without any model: source, cost and log line", "make", "ask", f"Q={QUESTION}")
    step("What happened inside", "sh", "chassis/uv", "run", "--frozen", "chassis", "trace")
    step("Its own files, for the hooks to see", "git", "add", "--all")
    seconds["check"] = step("Its own checks", "make", "check")

    print("\n\033[1mSeconds and sizes\033[0m")
    for name, spent in seconds.items():
        print(f"  {name:<12} {spent:6.1f} s")
    print(f"  {'generated':<12} {generated}")
    print(f"  {'environment':<12} {size(DEMO / '.venv')}")
    print(f"\nServe it: cd {DEMO.relative_to(ROOT)} && make serve")


if __name__ == "__main__":
    main()
