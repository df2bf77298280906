"""Finds the repositories to inspect: clones, folders of clones, and lists of paths and addresses."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError
from chassis_tools.updates.git import git

ADDRESS_PREFIXES = ("http://", "https://", "ssh://", "git://", "file://", "git@")


@dataclass(frozen=True, slots=True)
class RepositorySource:
    """Where a repository comes from.

    Args:
        path: The folder of its clone.
        address: The address that it is cloned from before the inspection; None if the folder is inspected as it is.
    """

    path: Path
    address: str | None = None

    def fetch(self) -> str | None:
        """Clone the repository or update its clone; return an error with git's message if that fails."""
        if self.address is None:
            return None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self.path.exists():
                git(self.path, "pull", "--quiet", "--ff-only")
            else:
                git(self.path.parent, "clone", "--quiet", "--depth", "1", "--", self.address, self.path.name)
        except ConfigError as error:
            return f"{self.address} could not be fetched: {error.problem}"
        return None


def sources_in(folders: Iterable[Path]) -> Iterator[RepositorySource]:
    """Yield every repository: a folder that is a clone itself, otherwise each folder in it."""
    for folder in folders:
        if (folder / ".git").exists() or not folder.is_dir():
            yield RepositorySource(folder)
        else:
            clones = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            yield from map(RepositorySource, clones)


def sources_listed(text: str, clones: Path) -> Iterator[RepositorySource]:
    """Yield the repository of every line of a list.

    Args:
        text: One path or address per line; empty lines and those that begin with # are ignored.
        clones: The folder for clones of addresses.
    """
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith(ADDRESS_PREFIXES):
            host, _, name = line.removesuffix(".git").rpartition("://")[2].strip("/").rpartition("/")
            yield RepositorySource(clones / _folder_name(host) / _folder_name(name), line)
        elif line and not line.startswith("#"):
            yield RepositorySource(Path(line).expanduser())


def _folder_name(text: str) -> str:
    """Return a text as the name of a single folder, so that no address leads outside the folder for clones."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "here"
