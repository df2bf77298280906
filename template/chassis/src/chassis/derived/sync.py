"""Keeps the derived files equal to what the decisions say."""

from dataclasses import dataclass
from pathlib import Path

from chassis.derived.decisions import Decisions
from chassis.derived.registry import COMMAND, DERIVED, MARK
from chassis.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Drift:
    """A file that is not what it should be.

    Args:
        path: Where it lies, from the root of the repository.
        problem: `missing`, `out of date`, or `left over` where another forge has been chosen.
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
        expected = None if text is None else text.encode()
        actual = _content(decisions.project.root / derived.path)
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
    return content is not None and MARK.encode() not in content.partition(b"\n")[0]


def _keep_what_people_wrote(root: Path, path: str) -> None:
    if by_people(root / path):
        raise ConfigError(
            path,
            f"`{COMMAND}` did not write this file, and would overwrite it",
            "Move what it says into ownership.toml, and the file out of the way",
        )


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
