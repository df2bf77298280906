"""The path owners of this working tree."""

from answer_sets import ROOT
from chassis_tools.governance.derived_files import DERIVED_FILES
from chassis_tools.updates import path_ownership
from chassis_tools.updates.path_ownership import PATHS_FILE, matches, parse_path_owners

__all__ = ["DERIVED_PATHS", "PATH_OWNERS", "matches", "owner_of"]

DERIVED_PATHS = {file.path for file in DERIVED_FILES}
"""The files that `chassis sync` writes; the template renders none of them."""
PATH_OWNERS = parse_path_owners((ROOT / "template" / PATHS_FILE).read_text(encoding="utf-8"))


def owner_of(path: str) -> str:
    """Return the owner of a path in a generated repository."""
    return path_ownership.owner_of(path, PATH_OWNERS)
