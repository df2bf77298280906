"""The law of paths of this working tree, for tests that ask who owns a path."""

from answers import ROOT
from chassis.derived import registry
from chassis.updates import law
from chassis.updates.law import matches

__all__ = ["DERIVED", "LAW", "kind_of", "matches"]

DERIVED = {file.path for file in registry.DERIVED}
"""What `chassis sync` writes; nothing of it is rendered."""
LAW = law.read_law((ROOT / "template" / law.FILE).read_text(encoding="utf-8"))


def kind_of(path: str) -> str:
    """Return the owner's kind: that of the first line that matches."""
    return law.kind_of(path, LAW)
