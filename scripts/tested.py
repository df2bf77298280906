"""Writes `template/chassis/tested.txt`: the versions in `uv.lock` of every library that a project can install."""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTED = ROOT / "template/chassis/tested.txt"
HEADER = """\
# The library versions that the template was tested with. `make setup` locks a new project to them, `uv lock --upgrade`
# upgrades them. Generated from the lock file of the template's repository.
"""


def tested_set() -> str:
    """Return the text of the file for the current `uv.lock`, without markers, since a version holds everywhere."""
    export = ["uv", "export", "--quiet", "--frozen", "--all-packages", "--all-extras", "--no-dev"]
    options = ["--no-emit-workspace", "--no-hashes", "--no-annotate", "--no-header"]
    done = subprocess.run([*export, *options], cwd=ROOT, check=True, capture_output=True, text=True)
    return HEADER + "".join(f"{line.partition(' ;')[0]}\n" for line in done.stdout.splitlines())


def main() -> int:
    """Write the file, or with `--check` report whether it is up to date; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is out of date")
    if not parser.parse_args().check:
        TESTED.write_text(tested_set(), encoding="utf-8")
    elif TESTED.read_text(encoding="utf-8") != tested_set():
        print(f"{TESTED.relative_to(ROOT)} differs from uv.lock; run: python scripts/tested.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
