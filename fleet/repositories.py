"""Finds the repositories to inspect: clones, folders of clones, and lists of paths and addresses."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError
from chassis_tools.updates.git import git, git_list
from chassis_tools.updates.path_ownership import PATHS_FILE

ADDRESS_PREFIXES = ("http://", "https://", "ssh://", "git://", "file://", "git@")


@dataclass(frozen=True, slots=True)
class RepositorySource:
    """Where a repository comes from.

    Args:
        path: The folder of its clone, or a folder in it if only the services there are meant.
        address: The address that it is cloned from before the inspection; None if the folder is inspected as it is.
        top: The top folder of the clone if `path` is a folder in it; otherwise None.
    """

    path: Path
    address: str | None = None
    top: Path | None = None

    @property
    def clone(self) -> Path:
        """Return the top folder of the clone."""
        return self.top or self.path

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
    """Yield every repository: a folder that is a clone itself or has services of one, otherwise each folder in it."""
    for folder in folders:
        if is_clone(folder) or not folder.is_dir():
            yield RepositorySource(folder)
            continue
        within = _within_clone(folder)
        if within:
            yield within
        # Beside services of its own, a repository may have submodules, which are clones.
        paths = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        yield from (RepositorySource(path) for path in paths if not within or is_clone(path))


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
            path = Path(line).expanduser()
            yield (None if is_clone(path) else _within_clone(path)) or RepositorySource(path)


def is_clone(folder: Path) -> bool:
    """Return whether a folder is the top of a clone, a worktree or a submodule."""
    return (folder / ".git").exists()


def services_in(folder: Path) -> list[Path]:
    """Return the folders of the services in a clone or in a folder of one: itself, or those in it that have a chassis.

    Raises:
        ConfigError: Git cannot read the repository.
    """
    if (folder / PATHS_FILE).is_file():
        return [folder]
    listings = (("--recurse-submodules",), ("--others", "--exclude-standard"))
    files = [path for options in listings for path in git_list(folder, "ls-files", *options)]
    return sorted(folder / path.removesuffix(f"/{PATHS_FILE}") for path in files if path.endswith(f"/{PATHS_FILE}"))


def _within_clone(folder: Path) -> RepositorySource | None:
    """Return the source for a folder that is not the top of its clone, if there are services in it."""
    top = next((path for path in folder.resolve().parents if is_clone(path)), None)
    if top is None or not folder.is_dir():
        return None
    try:
        return RepositorySource(folder, top=top) if services_in(folder) else None
    except ConfigError:
        return None


def _folder_name(text: str) -> str:
    """Return a text as the name of a single folder, so that no address leads outside the folder for clones."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "here"
