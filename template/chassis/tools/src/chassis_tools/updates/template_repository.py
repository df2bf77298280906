"""The template's git repository: its releases, the files that each ships, and the changes that it announces."""

import re
import shlex
import tempfile
import tomllib
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from chassis.config.toml_file import Section, config_error_from
from chassis.errors import ConfigError
from chassis_tools.updates.git import git
from chassis_tools.updates.path_ownership import PATHS_FILE, ShippedFile, owner_of, parse_path_owners

CHANGES_FILE = "chassis/changes.toml"
CHANGELOG_FILE = "CHANGELOG.md"
"""In the template itself: what each release brings, for the people of a generated repository."""
UNRELEASED = "Unreleased"
CHANGELOG_CONDITION = re.compile(r"\s*<!-- (\w+): (.*?) -->")
"""A comment after an entry that not every repository needs, such as `<!-- forge: gitlab -->`."""


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


class ChangelogEntry(NamedTuple):
    """One entry of the changelog: the release that it belongs to, and its text in Markdown."""

    since: str
    text: str

    def affects(self, answers: Mapping[str, Any]) -> bool:
        """Return whether it is meant for a repository with these answers; one never answered counts as a match."""
        conditions = CHANGELOG_CONDITION.findall(self.text)
        return all(str(answers.get(name, choices)) in [choices, *choices.split(", ")] for name, choices in conditions)


def parse_changelog(text: str) -> list[ChangelogEntry]:
    """Return the entries of a text in the format of `CHANGELOG.md`: a heading per release, a list below each."""
    entries: list[ChangelogEntry] = []
    since = ""
    for line in text.splitlines():
        if line.startswith("## "):
            since = line.removeprefix("## ").strip()
        elif line.startswith("- "):
            entries.append(ChangelogEntry(since, line.removeprefix("- ")))
        elif line.startswith("  ") and entries:
            entries[-1] = entries[-1]._replace(text=f"{entries[-1].text} {line.strip()}")
    return entries


def news_between(old: str, new: str, answers: Mapping[str, Any]) -> tuple[ChangelogEntry, ...]:
    """Return the entries of later releases that a repository with these answers did not have yet."""
    earlier = parse_changelog(old)
    texts, releases = {entry.text for entry in earlier}, {entry.since for entry in earlier} - {UNRELEASED}
    news = (entry for entry in parse_changelog(new) if entry.since not in releases and entry.text not in texts)
    return tuple(
        ChangelogEntry(since, CHANGELOG_CONDITION.sub("", text))
        for since, text in news
        if ChangelogEntry(since, text).affects(answers)
    )


SHORT_FORMS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/", "git+": ""}
"""Copier's prefixes for addresses, and what git understands instead."""
RELEASE_TAG = re.compile(r"v?(\d+(?:\.\d+)*)\Z")
TEMPLATE_FOLDER = "template/"
SHALLOW = "it is a shallow clone, which lacks the former releases"
EXECUTABLE_MODE = "100755"
GITHUB_FOLDER = ".github/"
"""Left out on every other forge, by `copier.yml` as well."""
SHAPE_FOLDER = re.compile(r"\{\{[^/]*\}\}/")
"""A folder named by an answer. Copier renders its name to `.`, so its files end up one folder higher."""


@dataclass(frozen=True, slots=True)
class TemplateRepository:
    """A clone of the template with all its tags; `git_dir` is a bare clone, or the `.git` of one with a work tree."""

    git_dir: Path

    def ask_git(self, *arguments: str) -> str:
        """Run git in the clone and return what it prints."""
        # Git can be configured to use a bare repository only if it is named (`safe.bareRepository`).
        is_bare = (self.git_dir / "HEAD").is_file()
        return git(self.git_dir, *(("--git-dir=.",) if is_bare else ()), *arguments)

    def newest_release(self) -> str:
        """Return the tag of the newest release, or `git describe` of the newest commit if there is no release."""
        # As numbers: as text, 1.10.0 would come before 1.9.0.
        releases = [(_version_key(tag), tag) for tag in self.ask_git("tag").split() if RELEASE_TAG.match(tag)]
        return max(releases)[1] if releases else self.ask_git("describe", "--tags", "--always", "HEAD").strip()

    def commit_of(self, version: str) -> str | None:
        """Return the full id of a tag, a short commit id or a `git describe`; None if it is unknown."""
        try:
            # `^{commit}` leads from an annotated tag to its commit, and refuses a file or a tree with that id.
            return self.ask_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{version}^{{commit}}").strip()
        except ConfigError:
            return None

    def commits_between(self, old: str, new: str) -> int:
        """Return how many commits `new` has that `old` does not have."""
        return int(self.ask_git("rev-list", "--count", f"{old}..{new}", "--"))

    def read(self, commit: str, path: str) -> str:
        """Return a chassis file as a commit ships it; empty if it does not ship the file."""
        return self._read(commit, TEMPLATE_FOLDER + path)

    def changelog(self, commit: str) -> str:
        """Return the changelog as of a commit; empty if there is none."""
        return self._read(commit, CHANGELOG_FILE)

    def check_out(self, commit: str, folder: Path) -> None:
        """Write the whole template, as of a commit, into an empty folder."""
        # Unlike `git archive`, this fetches all missing contents at once.
        self.ask_git(f"--work-tree={folder}", "read-tree", "--reset", "-u", commit)

    def _read(self, commit: str, path: str) -> str:
        # Asked first, because `git show` reports a missing file as an error, which could also be a broken clone.
        entry = self.ask_git("ls-tree", commit, "--", path)
        return self.ask_git("show", f"{commit}:{path}") if entry else ""

    def generated_paths(self, commit: str, answers: Mapping[str, Any]) -> set[str]:
        """Return the paths that a commit renders for some answers, except for Copier's answers file."""
        shape = f"{{{{ shape_{answers.get('shape')} }}}}/"
        package = str(answers.get("service_name")).replace("-", "_")
        paths: set[str] = set()
        for source in self.ask_git("ls-tree", "-z", "-r", "--name-only", commit, "--", TEMPLATE_FOLDER).split("\0")[
            :-1
        ]:
            path = source.removeprefix(TEMPLATE_FOLDER).removeprefix(shape).removesuffix(".jinja")
            path = path.replace("{{ package_name }}", package)
            if "{{" not in path:
                paths.add(path)
        return paths

    def chassis_files(
        self, commit: str, kept_paths: Collection[str] = (), forge: str = "github"
    ) -> dict[str, ShippedFile]:
        """Return every chassis file that a commit ships, by its path in a generated repository.

        Chassis files contain no Jinja, so nothing has to be rendered to know what a repository should contain.

        Args:
            commit: A commit or tag of the template.
            kept_paths: Paths to leave out, because the team keeps a file of its own there.
            forge: The forge of the generated repository.
        """
        owners = parse_path_owners(self.read(commit, PATHS_FILE))
        files: dict[str, ShippedFile] = {}
        for line in self.ask_git("ls-tree", "-z", "-r", commit, "--", TEMPLATE_FOLDER).split("\0")[:-1]:
            mode_type_id, _, source = line.partition("\t")
            mode, _, blob_id = mode_type_id.split()
            # Every shape has the same chassis files, so the answer does not matter.
            path = SHAPE_FOLDER.sub("", source.removeprefix(TEMPLATE_FOLDER))
            other_forge = path.startswith(GITHUB_FOLDER) and forge != "github"
            if owner_of(path, owners) == "chassis" and path not in kept_paths and not other_forge:
                files[path] = ShippedFile(blob_id, executable=mode == EXECUTABLE_MODE)
        return files


@contextmanager
def cloned_template(source: str) -> Generator[TemplateRepository]:
    """Clone the template into a temporary folder; git fetches the content of a file when it is read.

    Raises:
        ConfigError: The template cannot be reached, or it is a clone without the history.
    """
    url = git_url(source)
    local = Path(url.removeprefix("file://"))
    # A clone that fetches on demand from a shallow one would look for each missing commit, one after the other.
    if local.is_dir() and _is_shallow(local):
        raise ConfigError(source, SHALLOW, f"Run `git -C {shlex.quote(str(local))} fetch --unshallow`, then try again")
    with tempfile.TemporaryDirectory(prefix="chassis-template-") as folder:
        # Commits and trees suffice to compare ids; `blob:none` leaves the contents out until `git show` needs one.
        try:
            git(Path(folder), "clone", "--quiet", "--bare", "--filter=blob:none", "--", url, "template.git")
        except ConfigError as error:
            problem = f"the template cannot be reached ({error.problem})"
            raise ConfigError(source, problem, _unreachable_remedy(source)) from None
        clone = Path(folder) / "template.git"
        if _is_shallow(clone):
            raise ConfigError(source, SHALLOW, "Name a complete clone as _src_path in Copier's answers file")
        yield TemplateRepository(clone)


def git_url(source: str) -> str:
    """Return the address of a template in a form that git understands."""
    for short, full in SHORT_FORMS.items():
        if source.startswith(short):
            return full + source.removeprefix(short)
    return str(Path(source).expanduser()) if source.startswith("~") else source


def _is_shallow(repository: Path) -> bool:
    try:
        return git(repository, "rev-parse", "--is-shallow-repository").strip() == "true"
    except ConfigError:
        return False


def _unreachable_remedy(source: str) -> str:
    if ":" in source or source.startswith(("/", "~")):
        return "Check the address and your network, then try again"
    return "Write its absolute path or its URL as _src_path in Copier's answers file"


def _version_key(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in tag.removeprefix("v").split("."))
