"""Who owns each path of a repository (`chassis/paths.txt`), and which chassis files were edited there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis_tools.updates.git import git, git_list

PATHS_FILE = "chassis/paths.txt"
CHASSIS_FOLDER = "chassis/"

type PathOwners = tuple[tuple[str, str], ...]
"""Pairs of an owner and a pattern. The first pattern that matches a path decides."""


def parse_path_owners(text: str) -> PathOwners:
    """Return the entries of a text in the format of `chassis/paths.txt`."""
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((owner, pattern) for owner, pattern in lines)


def load_path_owners(root: Path) -> PathOwners:
    """Return the path owners of the repository at `root`; without `chassis/paths.txt` the team owns everything."""
    file = root / PATHS_FILE
    return parse_path_owners(file.read_text(encoding="utf-8")) if file.is_file() else (("yours", "*"),)


def matches(pattern: str, path: str) -> bool:
    """Return whether a pattern covers a path: it is the path itself, a folder above it, or `*`."""
    return pattern in {"*", path} or (pattern.endswith("/") and path.startswith(pattern))


def owner_of(path: str, owners: PathOwners) -> str:
    """Return the owner of a path, such as `chassis`, `derived` or `yours`."""
    return next((owner for owner, pattern in owners if matches(pattern, path)), "yours")


@dataclass(frozen=True, slots=True)
class Drift:
    """How the chassis files of a repository differ from the release, by their paths from its root.

    Args:
        edited: Files with different content.
        missing: Files that are gone from `chassis/`. A team may delete chassis files elsewhere, such as a workflow.
        added: Files that the team committed in `chassis/`.
    """

    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edited or self.missing or self.added)


def find_drift(root: Path, shipped: Mapping[str, str]) -> Drift:
    """Compare the repository at `root` with the release that it was made from.

    Args:
        root: The repository.
        shipped: The git blob id of each chassis file in the release, by path.

    Raises:
        ConfigError: `root` is not a git repository.
    """
    present = [path for path in shipped if (root / path).is_file()]
    # `git hash-object` normalizes line endings as a commit would, so a checkout with CRLF is not an edit.
    blob_ids = git(root, "hash-object", "--stdin-paths", stdin="".join(f"{path}\n" for path in present)).split()
    edited = (path for path, blob_id in zip(present, blob_ids, strict=True) if blob_id != shipped[path])
    missing = (path for path in shipped if path.startswith(CHASSIS_FOLDER) and not (root / path).exists())
    tracked = git_list(root, "ls-files", CHASSIS_FOLDER)
    added = (path for path in tracked if path not in shipped and (root / path).exists())
    return Drift(tuple(sorted(edited)), tuple(sorted(missing)), tuple(sorted(added)))
