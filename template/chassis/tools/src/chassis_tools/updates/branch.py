"""A branch that an update happens on: begun from a clean tree, and either committed whole or gone without a trace."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError
from chassis_tools.updates.git import git, names

SHOWN = 5
"""How many of the files that are in the way are named."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Where an update happens.

    Args:
        root: The repository.
        name: The new branch.
        start: The branch that it starts from.
    """

    root: Path
    name: str
    start: str

    @property
    def undo(self) -> str:
        """Return the one line that takes everything back."""
        return f"git switch {self.start} && git branch -D {self.name}"

    def commit(self, message: str) -> None:
        """Commit all there is; the hooks are not asked, because `make check` will be."""
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--no-verify", "--message", message)

    def leave(self) -> None:
        """Put the tree back as it was, and forget the branch; what git ignores is left alone."""
        git(self.root, "reset", "--quiet", "--hard", self.start)
        git(self.root, "clean", "--quiet", "--force", "-d")
        git(self.root, "switch", "--quiet", self.start)
        git(self.root, "branch", "--quiet", "--delete", "--force", self.name)


@contextmanager
def branched(root: Path, name: str) -> Generator[Branch]:
    """Begin a branch; whatever goes wrong in it, the repository is as before.

    Raises:
        ConfigError: Something is not committed, no branch is checked out, or there is such a branch already.
    """
    _refuse_unfinished_work(root)
    start = git(root, "branch", "--show-current").strip()
    if not start:
        raise ConfigError("git", "no branch is checked out", "Check one out, such as `git switch main`")
    if git(root, "branch", "--list", name):
        remedy = f"Merge it, or remove it: git branch -D {name}"
        raise ConfigError(name, "there is such a branch already, perhaps from an earlier update", remedy)
    branch = Branch(root, name, start)
    git(root, "switch", "--quiet", "--create", name)
    try:
        yield branch
    except BaseException:
        branch.leave()
        raise


def _refuse_unfinished_work(root: Path) -> None:
    # Said aloud, because a setting of git hides new files, and whoever leaves the branch would delete them.
    seen = names(root, "status", "--porcelain", "--no-renames", "--untracked-files=normal")
    files = [line[3:] for line in seen]
    if files:
        more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
        problem = f"not committed: {', '.join(files[:SHOWN])}{more}"
        raise ConfigError("the working tree", problem, "Commit it, or `git stash --include-untracked`; then try again")
