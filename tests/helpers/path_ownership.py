"""The law of paths of this working tree, for tests that ask who owns a path."""

from answer_sets import ROOT
from chassis_tools.governance import registry
from chassis_tools.updates import law
from chassis_tools.updates.law import matches

__all__ = ["DERIVED", "LAW", "kind_of", "matches"]

DERIVED = {file.path for file in registry.DERIVED}
"""What `chassis sync` writes; nothing of it is rendered."""
LAW = law.read_law((ROOT / "template" / law.FILE).read_text(encoding="utf-8"))


def kind_of(path: str) -> str:
    """Return the owner's kind: that of the first line that matches."""
    return law.kind_of(path, LAW)
