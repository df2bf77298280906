"""Writes the pins of `pins.toml` into every workflow and into `chassis/uv`; with `--check`, only compares.

A pin has one of four forms: `uses: ACTION@COMMIT # TAG`, `runs-on: RUNNER`, `IMAGE@DIGEST`, or `VALUE # pin: TOOL`.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PINS = "pins.toml"
WORKFLOWS = (
    ".github/workflows/*.yml",
    "template/.github/workflows/*.yml",
    "template/chassis/ci/*",
    "template/chassis/uv",
)
ACTION = re.compile(r"(?<=uses: )(?P<name>[\w.-]+/[\w.-]+)(?P<path>(?:/[\w.-]+)*)@\S+(?: # \S+)?")
RUNNER = re.compile(r"((?<=runs-on: )|(?<=vars\.RUNNER \|\| '))(?P<name>[a-z]+)-[\w.]+")
IMAGE = re.compile(r"(?P<name>[\w./-]+:[\w.-]+)@sha256:\w+")
TOOL = re.compile(r"(?<=[ =])\S+(?= # pin: (?P<name>[\w.-]+)$)", re.MULTILINE)

type Pins = dict[str, dict[str, Any]]
type Form = tuple[re.Pattern[str], str, Callable[[re.Match[str], Any], str]]

FORMS: tuple[Form, ...] = (
    (ACTION, "actions", lambda match, pin: f"{match['name']}{match['path']}@{pin['commit']} # {pin['tag']}"),
    (RUNNER, "runners", lambda _, pin: pin),
    (IMAGE, "images", lambda match, pin: f"{match['name']}@{pin}"),
    (TOOL, "tools", lambda _, pin: pin),
)


class NotPinned(LookupError):
    """A workflow uses something that is not in `pins.toml`."""


def workflow_files(root: Path) -> list[Path]:
    """Return every file that may contain a pin."""
    return sorted(file for pattern in WORKFLOWS for file in root.glob(pattern))


def with_pins(text: str, pins: Pins, used: set[tuple[str, str]] | None = None) -> str:
    """Return the text of a workflow with every pin replaced.

    Args:
        text: The workflow.
        pins: The content of `pins.toml`.
        used: Collects the table and name of each pin in the text.

    Raises:
        NotPinned: The text uses something that has no pin.
    """
    for pattern, table, form in FORMS:

        def replace(match: re.Match[str], table: str = table, form: Callable[..., str] = form) -> str:
            name = match["name"]
            if name not in pins.get(table, {}):
                raise NotPinned(f"{name} has no pin; add it to [{table}] in {PINS}")
            if used is not None:
                used.add((table, name))
            return form(match, pins[table][name])

        text = pattern.sub(replace, text)
    return text


def main() -> int:
    """Write or compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    only_check = parser.parse_args().check
    pins = tomllib.loads((ROOT / PINS).read_text(encoding="utf-8"))
    outdated = 0
    for file in workflow_files(ROOT):
        text = file.read_text(encoding="utf-8")
        try:
            expected = with_pins(text, pins)
        except NotPinned as error:
            print(f"{file.relative_to(ROOT)}: {error}", file=sys.stderr)
            return 2
        if expected == text:
            continue
        outdated += 1
        if only_check:
            print(f"{file.relative_to(ROOT)} does not match {PINS}; run `make pins`", file=sys.stderr)
        else:
            file.write_text(expected, encoding="utf-8")
            print(f"{file.relative_to(ROOT)} written")
    return 1 if only_check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
