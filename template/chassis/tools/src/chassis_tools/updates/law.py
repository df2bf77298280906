"""The law of paths, `chassis/paths.txt`: who owns a path."""

from pathlib import Path

FILE = "chassis/paths.txt"

type Law = tuple[tuple[str, str], ...]
"""Pairs of a kind and a pattern; the first pattern that matches a path decides."""


def read_law(text: str) -> Law:
    """Return the law that a text in the form of `chassis/paths.txt` lays down."""
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((kind, pattern) for kind, pattern in lines)


def law_of(root: Path) -> Law:
    """Return the law of the repository at `root`, or one that gives all to the team if the file is gone."""
    file = root / FILE
    return read_law(file.read_text(encoding="utf-8")) if file.is_file() else (("yours", "*"),)


def matches(pattern: str, path: str) -> bool:
    """Say whether a line of the law is about a path: itself, everything, or a folder that it lies in."""
    return pattern in {"*", path} or (pattern.endswith("/") and path.startswith(pattern))


def kind_of(path: str, law: Law) -> str:
    """Return who owns a path: the kind of the first line that matches."""
    return next((kind for kind, pattern in law if matches(pattern, path)), "yours")
