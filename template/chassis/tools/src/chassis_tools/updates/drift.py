"""Whether the files of the chassis are still as the template shipped them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis_tools.updates.git import git, names

FOLDER = "chassis/"


@dataclass(frozen=True, slots=True)
class Drift:
    """What somebody did to files of the chassis; every path counts from the root of the repository.

    Args:
        edited: Other content than was shipped.
        missing: Gone from the folder `chassis/`. What is gone elsewhere, such as a workflow, a team may do without.
        added: Committed in the folder `chassis/`, but never shipped.
    """

    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edited or self.missing or self.added)


def drift_of(root: Path, shipped: Mapping[str, str]) -> Drift:
    """Compare the repository at `root` with git's ids of what was shipped; line ends count as git sees them.

    Raises:
        ConfigError: The folder is no git repository.
    """
    here = [path for path in shipped if (root / path).is_file()]
    ids = git(root, "hash-object", "--stdin-paths", given="".join(f"{path}\n" for path in here)).split()
    edited = (path for path, found in zip(here, ids, strict=True) if found != shipped[path])
    missing = (path for path in shipped if path.startswith(FOLDER) and not (root / path).exists())
    added = (path for path in names(root, "ls-files", FOLDER) if path not in shipped and (root / path).exists())
    return Drift(tuple(sorted(edited)), tuple(sorted(missing)), tuple(sorted(added)))
