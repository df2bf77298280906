"""Keeps the derived files equal to what the decisions say."""

import re
from dataclasses import dataclass
from pathlib import Path

from chassis.clock import now
from chassis.errors import ConfigError
from chassis_tools.governance.decisions import Decisions
from chassis_tools.governance.registry import COMMAND, DERIVED, MARK
from chassis_tools.governance.security import DAY


@dataclass(frozen=True, slots=True)
class Drift:
    """A file that is not what it should be.

    Args:
        path: Where it lies, from the root of the repository.
        problem: `missing`, `out of date`, or `left over` where another forge has been chosen or too little is known.
        text: What it should say; None if there should be no such file.
    """

    path: str
    problem: str
    text: bytes | None


def drifts(decisions: Decisions) -> list[Drift]:
    """Return the derived files that differ from what the decisions say, in the order of the registry.

    Raises:
        ConfigError: The decisions cannot be said in a file's format.
    """
    found: list[Drift] = []
    for derived in DERIVED:
        text = derived.text(decisions)
        actual = _content(decisions.project.root / derived.path)
        if derived.yields and actual is not None and not _is_ours(actual):
            continue
        expected = None if text is None else _dated(text.encode(), actual)
        if actual != expected:
            problem = "missing" if actual is None else "left over" if expected is None else "out of date"
            found.append(Drift(derived.path, problem, expected))
    return found


def write(decisions: Decisions) -> list[Drift]:
    """Make the derived files what they should be, and return what had drifted.

    Raises:
        ConfigError: A person wrote one of them, and their words would be lost.
    """
    found = drifts(decisions)
    for drift in found:
        _keep_what_people_wrote(decisions.project.root, drift.path)
    for drift in found:
        file = decisions.project.root / drift.path
        if drift.text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(drift.text)
    return found


def by_people(file: Path) -> bool:
    """Say whether there is such a file, and no command of ours wrote it."""
    content = _content(file)
    return content is not None and not _is_ours(content)


def _keep_what_people_wrote(root: Path, path: str) -> None:
    if by_people(root / path):
        raise ConfigError(
            path,
            f"`{COMMAND}` did not write this file, and would overwrite it",
            "Move what it says into ownership.toml, and the file out of the way",
        )


def _is_ours(content: bytes) -> bool:
    return MARK.encode() in content.partition(b"\n")[0]


def _dated(text: bytes, actual: bytes | None) -> bytes:
    """Fill in the day of the last change: the one that the file names if nothing else differs, otherwise today."""
    day = DAY.encode()
    known = {text.replace(day, named) for named in re.findall(rb"\d{4}-\d\d-\d\d", actual or b"")}
    return actual if actual in known else text.replace(day, str(now().date()).encode())


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
