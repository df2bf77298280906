"""Where the repositories are: clones, folders full of clones, and lists of paths and addresses."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ADDRESS = ("http://", "https://", "ssh://", "git://", "file://", "git@")
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository lies.

    Args:
        path: Its folder.
        address: Where it is cloned from before anybody looks at it; none if it is looked at as it lies there.
    """

    path: Path
    address: str | None = None

    def fetched(self) -> str | None:
        """Clone the repository, or bring its clone up to date; return git's own words if that fails."""
        if self.address is None:
            return None
        command = ["git", "-C", str(self.path), "pull", "--quiet", "--ff-only"]
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            command = ["git", "clone", "--quiet", "--depth", "1", self.address, str(self.path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return f"{self.address} did not answer in {SECONDS} seconds"
        if done.returncode == 0:
            return None
        return f"{self.address} could not be fetched: {' '.join(done.stderr.split()) or 'git said nothing'}"


def found(folders: Iterable[Path]) -> Iterator[Place]:
    """Yield every repository: a clone itself, or each folder in a folder that is none."""
    for folder in folders:
        if (folder / ".git").exists() or not folder.is_dir():
            yield Place(folder)
        else:
            inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            yield from map(Place, inside)


def listed(text: str, clones: Path) -> Iterator[Place]:
    """Yield the repository of every line of a list.

    Args:
        text: One path or address a line; empty lines and those that begin with # do not count.
        clones: Where clones of addresses are kept.
    """
    for entry in (line.strip() for line in text.splitlines()):
        if entry.startswith(ADDRESS):
            host, _, name = entry.removesuffix(".git").rpartition("://")[2].strip("/").rpartition("/")
            yield Place(clones / _plain(host) / _plain(name), entry)
        elif entry and not entry.startswith("#"):
            yield Place(Path(entry).expanduser())


def _plain(text: str) -> str:
    """Return a text as the name of one folder, which leads nowhere else."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "here"
