"""The law of paths, read the way an update reads it."""

from answers import ROOT
from chassis.derived import registry

LINES = (ROOT / "template/chassis/paths.txt").read_text(encoding="utf-8").splitlines()
DERIVED = {file.path for file in registry.DERIVED}
"""What `chassis sync` writes; nothing of it is rendered."""
LAW = [(kind, pattern) for kind, pattern in (line.split() for line in LINES if not line.startswith("#"))]


def matches(pattern: str, path: str) -> bool:
    """Say whether a line of the law is about a path."""
    return pattern in {"*", path} or (pattern.endswith("/") and path.startswith(pattern))


def kind_of(path: str) -> str:
    """Return the owner's kind: the first line that matches."""
    return next(kind for kind, pattern in LAW if matches(pattern, path))
