"""Who owns each path of a repository (`chassis/paths.txt`), and which chassis files were edited there."""

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from chassis_tools.updates.git import git, git_list, ignored_files

PATHS_FILE = "chassis/paths.txt"
CHASSIS_FOLDER = "chassis/"
SHA1_LENGTH = 40

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


class ShippedFile(NamedTuple):
    """A chassis file as a release ships it."""

    blob_id: str
    """Git's id of its content, in the object format of the template's repository."""
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Drift:
    """How the chassis files of a repository differ from the release, by their paths from its root.

    Args:
        edited: Files with different content or another executable bit, and links in their place.
        missing: Files that are gone from `chassis/`. A team may delete chassis files elsewhere, such as a workflow.
        added: Files that the team committed in `chassis/`.
        untracked: Files that git does not know, each with the line of `.gitignore` that hides it, if one does.
    """

    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    untracked: Mapping[str, str] = field(default_factory=dict[str, str])

    def __bool__(self) -> bool:
        """Return whether a file differs. One that git does not know yet may still be committed."""
        return bool(self.edited or self.missing or self.added)


def find_drift(root: Path, shipped: Mapping[str, ShippedFile]) -> Drift:
    """Compare the repository at `root` with the release that it was made from.

    Raises:
        ConfigError: `root` is not in a git repository.
    """
    tracked = set(git_list(root, "ls-files"))
    # Also a broken link: it stands where a file of the chassis should.
    present = {path for path in shipped if os.path.lexists(f"{root}/{path}")}
    missing = (path for path in shipped.keys() - present if path.startswith(CHASSIS_FOLDER))
    added = (path for path in tracked - shipped.keys() if path.startswith(CHASSIS_FOLDER) and lexists(root / path))
    ignored = ignored_files(root, present)
    return Drift(
        tuple(sorted(_edited_files(root, {path: shipped[path] for path in present}))),
        tuple(sorted(missing)),
        tuple(sorted(added)),
        {path: ignored.get(path, "") for path in sorted(present - tracked)},
    )


def linked_part(root: Path, path: str) -> str | None:
    """Return the first part of a path that is a symbolic link: a folder above it, or the path itself."""
    parts = (*reversed(PurePosixPath(path).parents[:-1]), PurePosixPath(path))
    return next((str(part) for part in parts if os.path.islink(f"{root}/{part}")), None)  # noqa: PTH114 - as below


def lexists(file: Path) -> bool:
    """Return whether there is anything at a path, also a link that leads nowhere."""
    return file.exists(follow_symlinks=False)


def _edited_files(root: Path, present: Mapping[str, ShippedFile]) -> Iterator[str]:
    # The content of the working tree is compared, not git's id of it: a repository may use SHA-256, or a filter.
    has_modes = git(root, "config", "--type=bool", "--default=true", "--get", "core.fileMode").strip() == "true"
    crlf_only: list[str] = []
    folders = {posixpath.dirname(path) for path in present} - {""}
    linked = {folder for folder in folders if linked_part(root, folder) is not None}
    for path, file in present.items():
        on_disk = f"{root}/{path}"
        mode = os.lstat(on_disk).st_mode
        if posixpath.dirname(path) in linked or not stat.S_ISREG(mode):
            yield path
            continue
        with open(on_disk, "rb") as opened:  # noqa: PTH123 - path objects of all files take longer than this
            content = opened.read()
        if has_modes and bool(mode & 0o111) != file.executable:
            yield path
        elif _blob_id(content, file.blob_id) == file.blob_id:
            continue
        elif _blob_id(content.replace(b"\r\n", b"\n"), file.blob_id) == file.blob_id:
            crlf_only.append(path)
        else:
            yield path
    if crlf_only:
        yield from _committed_with_crlf(root, crlf_only)


def _committed_with_crlf(root: Path, paths: Collection[str]) -> Iterator[str]:
    """Yield those of the paths whose line endings git has stored, not just written to the working tree."""
    for item in git_list(root, "ls-files", "--eol", "--", *paths):
        endings, _, path = item.partition("\t")
        if not endings.startswith("i/lf"):
            yield path


def _blob_id(content: bytes, like: str) -> str:
    """Return git's id of a content, in the object format of another id."""
    # Computed here: `git hash-object` would apply the repository's filters, and start a process for each file.
    new = hashlib.sha1 if len(like) == SHA1_LENGTH else hashlib.sha256
    return new(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
