"""Write `template/chassis/tested.txt`: the versions in `uv.lock` of all that a generated project can install."""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTED = ROOT / "template/chassis/tested.txt"
HEADER = """\
# The library versions that the template's own tests proved together. `make setup` locks a new project to them;
# `uv lock --upgrade` lifts them. Written by the template repository from its own lock.
"""


def tested_set() -> str:
    """Return the text of the file as `uv.lock` has it now; a version holds everywhere, so markers are left out."""
    export = ["uv", "export", "--quiet", "--frozen", "--all-packages", "--all-extras", "--no-dev"]
    options = ["--no-emit-workspace", "--no-hashes", "--no-annotate", "--no-header"]
    done = subprocess.run([*export, *options], cwd=ROOT, check=True, capture_output=True, text=True)
    return HEADER + "".join(f"{line.partition(' ;')[0]}\n" for line in done.stdout.splitlines())


def main() -> int:
    """Write the file, or with `--check` only say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the file is out of date")
    if not parser.parse_args().check:
        TESTED.write_text(tested_set(), encoding="utf-8")
    elif TESTED.read_text(encoding="utf-8") != tested_set():
        print(f"{TESTED.relative_to(ROOT)} differs from uv.lock; run: python scripts/tested.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
