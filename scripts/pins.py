"""Write the pins of `pins.toml` into every workflow, so that a lift is one commit; `--check` only compares.

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
WHERE = (".github/workflows/*.yml", "template/.github/workflows/*.yml", "template/chassis/ci/*")
ACTION = re.compile(r"(?<=uses: )(?P<name>[\w.-]+/[\w.-]+)(?P<path>(?:/[\w.-]+)*)@\S+(?: # \S+)?")
RUNNER = re.compile(r"(?<=runs-on: )(?P<name>[a-z]+)-\S+")
IMAGE = re.compile(r"(?P<name>[\w./-]+:[\w.-]+)@sha256:\w+")
TOOL = re.compile(r"(?<=[ =])\S+(?= # pin: (?P<name>[\w.-]+)$)", re.MULTILINE)

type Pins = dict[str, dict[str, Any]]
type Form = tuple[re.Pattern[str], str, Callable[[re.Match[str], Any], str]]

FORMS: tuple[Form, ...] = (
    (ACTION, "actions", lambda found, pin: f"{found['name']}{found['path']}@{pin['commit']} # {pin['tag']}"),
    (RUNNER, "runners", lambda _, pin: pin),
    (IMAGE, "images", lambda found, pin: f"{found['name']}@{pin}"),
    (TOOL, "tools", lambda _, pin: pin),
)


class NotPinned(LookupError):
    """A workflow names something that `pins.toml` does not know."""


def files(root: Path) -> list[Path]:
    """Return every file that may hold a pin."""
    return sorted(file for pattern in WHERE for file in root.glob(pattern))


def pinned(text: str, pins: Pins, used: set[tuple[str, str]] | None = None) -> str:
    """Return the text of a workflow with every pin as `pins` says.

    Args:
        text: The workflow.
        pins: What `pins.toml` says.
        used: Gets the table and the name of each pin that the text holds.

    Raises:
        NotPinned: The text names something without a pin.
    """
    for pattern, table, form in FORMS:

        def replace(found: re.Match[str], table: str = table, form: Callable[..., str] = form) -> str:
            name = found["name"]
            if name not in pins.get(table, {}):
                raise NotPinned(f"{name} has no pin; add it to [{table}] in {PINS}")
            if used is not None:
                used.add((table, name))
            return form(found, pins[table][name])

        text = pattern.sub(replace, text)
    return text


def main() -> int:
    """Write, or compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, and fail if a file differs")
    only_check = parser.parse_args().check
    pins = tomllib.loads((ROOT / PINS).read_text(encoding="utf-8"))
    stale = 0
    for file in files(ROOT):
        text = file.read_text(encoding="utf-8")
        try:
            wanted = pinned(text, pins)
        except NotPinned as error:
            print(f"{file.relative_to(ROOT)}: {error}", file=sys.stderr)
            return 2
        if wanted == text:
            continue
        stale += 1
        if only_check:
            print(f"{file.relative_to(ROOT)} is not what {PINS} says; run `make pins`", file=sys.stderr)
        else:
            file.write_text(wanted, encoding="utf-8")
            print(f"{file.relative_to(ROOT)} written")
    return 1 if only_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
