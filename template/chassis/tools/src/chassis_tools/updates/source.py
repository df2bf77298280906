"""The repository of the template: its releases, and the files of the chassis as each release ships them."""

import re
import tempfile
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError
from chassis_tools.updates.git import git, names
from chassis_tools.updates.law import FILE, kind_of, read_law

SHORT = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/", "git+": ""}
RELEASE = re.compile(r"v?(\d+(?:\.\d+)*)\Z")
SHIPPED = "template/"
WORKFLOWS = ".github/"
"""What no other forge reads, and `copier.yml` leaves out there."""
CHOSEN_FOLDER = re.compile(r"\{\{[^/]*\}\}/")
"""A folder whose name is an answer: it renders to `.`, so its files land where they would without it."""


@dataclass(frozen=True, slots=True)
class Template:
    """A clone without work tree; `git_dir` may also be the `.git` of any clone that has all tags."""

    git_dir: Path

    def newest(self) -> str:
        """Return the newest release, or what `git describe` calls the newest commit if nothing is released."""
        releases = [(_numbers(tag), tag) for tag in git(self.git_dir, "tag").split() if RELEASE.match(tag)]
        return max(releases)[1] if releases else git(self.git_dir, "describe", "--tags", "--always", "HEAD").strip()

    def commit_of(self, version: str) -> str | None:
        """Return the commit that a release, a commit's short name or a `git describe` stands for; none if unknown."""
        try:
            return git(self.git_dir, "rev-parse", "--verify", "--quiet", f"{version}^{{commit}}").strip()
        except ConfigError:
            return None

    def commits_between(self, old: str, new: str) -> int:
        """Return how many commits the new one has that the old one has not."""
        return int(git(self.git_dir, "rev-list", "--count", f"{old}..{new}"))

    def read(self, commit: str, path: str) -> str:
        """Return a file of the chassis as a commit ships it; empty if it ships none."""
        listed = git(self.git_dir, "ls-tree", commit, SHIPPED + path)
        return git(self.git_dir, "show", f"{commit}:{SHIPPED}{path}") if listed else ""

    def chassis(self, commit: str, kept: Collection[str] = (), forge: str = "github") -> dict[str, str]:
        """Return git's id of the content of every file of the chassis in a commit, by its path in a repository.

        What a team has kept for itself is left out, and what only another forge reads.

        No file of the chassis has template syntax, so what a repository must contain needs no rendering.
        """
        law = read_law(self.read(commit, FILE))
        shipped: dict[str, str] = {}
        for line in names(self.git_dir, "ls-tree", "-r", commit, SHIPPED):
            facts, _, path = line.partition("\t")
            path = CHOSEN_FOLDER.sub("", path.removeprefix(SHIPPED))
            foreign = path.startswith(WORKFLOWS) and forge != "github"
            if kind_of(path, law) == "chassis" and path not in kept and not foreign:
                shipped[path] = facts.split()[2]
        return shipped


@contextmanager
def clone_of(source: str) -> Generator[Template]:
    """Clone the template for a moment: its commits and lists of files, and what it ships only when it is asked for.

    Raises:
        ConfigError: It cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="chassis-template-") as folder:
        try:
            git(Path(folder), "clone", "--quiet", "--bare", "--filter=blob:none", url_of(source), "template.git")
        except ConfigError as error:
            raise ConfigError(source, f"the template cannot be reached ({error.problem})", _remedy(source)) from None
        yield Template(Path(folder) / "template.git")


def url_of(source: str) -> str:
    """Return what git understands for what Copier recorded."""
    for short, long in SHORT.items():
        if source.startswith(short):
            return long + source.removeprefix(short)
    return str(Path(source).expanduser()) if source.startswith("~") else source


def _remedy(source: str) -> str:
    if ":" in source or source.startswith(("/", "~")):
        return "Try again when it can"
    return "Write its full path, or its URL, behind _src_path in .copier-answers.yml"


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in tag.removeprefix("v").split("."))
