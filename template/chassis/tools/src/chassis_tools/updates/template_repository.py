"""The template's git repository: its releases, the files that each ships, and the changes that it announces."""

import re
import tempfile
import tomllib
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chassis.config.toml_file import Section, config_error_from
from chassis.errors import ConfigError
from chassis_tools.updates.git import git, git_list
from chassis_tools.updates.path_ownership import PATHS_FILE, owner_of, parse_path_owners

CHANGES_FILE = "chassis/changes.toml"


class BehaviorChange(Section):
    """One difference that a team could notice."""

    since: str
    """The release that introduced it, such as `1.2.0`."""
    what: str
    """What is different, in one sentence."""
    keep: str
    """The setting or step that restores the former behavior."""
    answers: Mapping[str, tuple[Any, ...]] = {}
    """The affected repositories: for each question the answers that it applies to; empty means all repositories."""

    def affects(self, answers: Mapping[str, Any]) -> bool:
        """Return whether it affects a repository with these answers; a question never answered counts as a match."""
        return all(name not in answers or answers[name] in affected for name, affected in self.answers.items())


class ChangesFile(Section):
    """The whole file. Releases only ever add to it."""

    changes: tuple[BehaviorChange, ...] = ()


def parse_changes(text: str) -> tuple[BehaviorChange, ...]:
    """Return the entries of a text in the format of `chassis/changes.toml`.

    Raises:
        ConfigError: It is not TOML, or an entry is invalid.
    """
    try:
        return ChangesFile.model_validate(tomllib.loads(text)).changes
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(CHANGES_FILE, f"not valid TOML ({error})", "Fix the line it names") from None
    except ValidationError as error:
        raise config_error_from(CHANGES_FILE, error) from None


def changes_between(old: str, new: str, answers: Mapping[str, Any]) -> tuple[BehaviorChange, ...]:
    """Return the entries that only the new text has and that affect a repository with these answers."""
    earlier = parse_changes(old)
    return tuple(change for change in parse_changes(new) if change not in earlier and change.affects(answers))


SHORT_FORMS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/", "git+": ""}
"""Copier's prefixes for addresses, and what git understands instead."""
RELEASE_TAG = re.compile(r"v?(\d+(?:\.\d+)*)\Z")
TEMPLATE_FOLDER = "template/"
GITHUB_FOLDER = ".github/"
"""Left out on every other forge, by `copier.yml` as well."""
SHAPE_FOLDER = re.compile(r"\{\{[^/]*\}\}/")
"""A folder named by an answer. Copier renders its name to `.`, so its files end up one folder higher."""


@dataclass(frozen=True, slots=True)
class TemplateRepository:
    """A clone of the template with all its tags; `git_dir` is a bare clone, or the `.git` of one with a work tree."""

    git_dir: Path

    def newest_release(self) -> str:
        """Return the tag of the newest release, or `git describe` of the newest commit if there is no release."""
        releases = [(_version_key(tag), tag) for tag in git(self.git_dir, "tag").split() if RELEASE_TAG.match(tag)]
        return max(releases)[1] if releases else git(self.git_dir, "describe", "--tags", "--always", "HEAD").strip()

    def commit_of(self, version: str) -> str | None:
        """Return the full id of a tag, a short commit id or a `git describe`; None if it is unknown."""
        try:
            return git(self.git_dir, "rev-parse", "--verify", "--quiet", f"{version}^{{commit}}").strip()
        except ConfigError:
            return None

    def commits_between(self, old: str, new: str) -> int:
        """Return how many commits `new` has that `old` does not have."""
        return int(git(self.git_dir, "rev-list", "--count", f"{old}..{new}"))

    def read(self, commit: str, path: str) -> str:
        """Return a chassis file as a commit ships it; empty if it does not ship the file."""
        entry = git(self.git_dir, "ls-tree", commit, TEMPLATE_FOLDER + path)
        return git(self.git_dir, "show", f"{commit}:{TEMPLATE_FOLDER}{path}") if entry else ""

    def chassis_files(self, commit: str, kept_paths: Collection[str] = (), forge: str = "github") -> dict[str, str]:
        """Return the git blob id of every chassis file that a commit ships, by its path in a generated repository.

        Chassis files contain no Jinja, so nothing has to be rendered to know what a repository should contain.

        Args:
            commit: A commit or tag of the template.
            kept_paths: Paths to leave out, because the team keeps a file of its own there.
            forge: The forge of the generated repository.
        """
        owners = parse_path_owners(self.read(commit, PATHS_FILE))
        files: dict[str, str] = {}
        for line in git_list(self.git_dir, "ls-tree", "-r", commit, TEMPLATE_FOLDER):
            mode_type_id, _, source = line.partition("\t")
            path = SHAPE_FOLDER.sub("", source.removeprefix(TEMPLATE_FOLDER))
            other_forge = path.startswith(GITHUB_FOLDER) and forge != "github"
            if owner_of(path, owners) == "chassis" and path not in kept_paths and not other_forge:
                files[path] = mode_type_id.split()[2]
        return files


@contextmanager
def cloned_template(source: str) -> Generator[TemplateRepository]:
    """Clone the template into a temporary folder; git fetches the content of a file when it is read.

    Raises:
        ConfigError: The template cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="chassis-template-") as folder:
        # Commits and trees suffice to compare ids; `blob:none` leaves the contents out until `git show` needs one.
        try:
            git(Path(folder), "clone", "--quiet", "--bare", "--filter=blob:none", git_url(source), "template.git")
        except ConfigError as error:
            problem = f"the template cannot be reached ({error.problem})"
            raise ConfigError(source, problem, _unreachable_remedy(source)) from None
        yield TemplateRepository(Path(folder) / "template.git")


def git_url(source: str) -> str:
    """Return the address of a template in a form that git understands."""
    for short, full in SHORT_FORMS.items():
        if source.startswith(short):
            return full + source.removeprefix(short)
    return str(Path(source).expanduser()) if source.startswith("~") else source


def _unreachable_remedy(source: str) -> str:
    if ":" in source or source.startswith(("/", "~")):
        return "Check the address and your network, then try again"
    return "Write its absolute path or its URL as _src_path in .copier-answers.yml"


def _version_key(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in tag.removeprefix("v").split("."))
