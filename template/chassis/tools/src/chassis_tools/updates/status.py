"""Compares a repository with its template: its own release (`chassis verify`), and newer ones (`chassis status`).

`verify` reads no file of the template: git's ids of the files suffice. They are remembered in `.git/`, where no commit
can put them, so that a second comparison needs no network, and an edit of the chassis is never green.
"""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chassis.config.constraints import load_constraints
from chassis.config.ownership import load_ownership
from chassis.config.project import Project
from chassis.errors import ConfigError
from chassis_tools.governance.derived_files import out_of_date_files
from chassis_tools.governance.file_contents import load_decisions
from chassis_tools.updates.copier import AnswersFile, load_answers_file
from chassis_tools.updates.git import git, unmerged_files
from chassis_tools.updates.path_ownership import CHASSIS_FOLDER, Drift, ShippedFile, find_drift, load_path_owners
from chassis_tools.updates.template_repository import (
    CHANGES_FILE,
    BehaviorChange,
    ChangelogEntry,
    TemplateRepository,
    changes_between,
    cloned_template,
    news_between,
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """A repository compared with its template.

    Args:
        newest: The newest release, as `TemplateRepository.newest_release` names it.
        commits_behind: How many commits the repository is behind it; 0 if it is up to date.
        drift: How the chassis files differ from the recorded release.
        changes: What would behave differently after an update to the newest release.
        news: The entries of the changelog since the recorded release.
    """

    newest: str
    commits_behind: int
    drift: Drift
    changes: tuple[BehaviorChange, ...]
    news: tuple[ChangelogEntry, ...]


@dataclass(frozen=True, slots=True)
class RepositoryStatus:
    """The state of a repository.

    Args:
        answers_file: What Copier recorded.
        upstream: The comparison with the template; None if the template was not reached.
        upstream_error: Why it was not reached.
        unmerged: Files with an unresolved conflict.
        out_of_date: Derived files that `chassis sync` would change.
        retired: Files of former releases that no release uses any more.
        config_errors: What is invalid in `constraints.toml` and `ownership.toml`, one sentence each.
    """

    answers_file: AnswersFile
    upstream: Upstream | None
    upstream_error: str | None
    unmerged: tuple[str, ...]
    out_of_date: tuple[str, ...]
    retired: tuple[str, ...]
    config_errors: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing has to be fixed, as far as is known; a newer release is not a fault."""
        drifted = self.upstream is not None and bool(self.upstream.drift or self.upstream.drift.untracked)
        return not (drifted or self.unmerged or self.out_of_date or self.config_errors)

    @property
    def behind(self) -> bool | None:
        """Whether there is a newer release; None if the template was not reached."""
        return self.upstream.commits_behind > 0 if self.upstream else None


def repository_status(project: Project, *, offline: bool = False) -> RepositoryStatus:
    """Examine a repository and, unless `offline`, compare it with its template.

    Raises:
        ConfigError: It is not a git repository, or its answers file is missing or invalid.
    """
    root = project.root
    answers_file = load_answers_file(root)
    upstream, upstream_error = _try_upstream(root, answers_file, offline=offline)
    config_errors = tuple(_config_errors(root))
    # Derived files cannot be generated from invalid decisions, and the error is reported anyway.
    outdated = () if config_errors else out_of_date_files(load_decisions(project))
    return RepositoryStatus(
        answers_file=answers_file,
        upstream=upstream,
        upstream_error=upstream_error,
        unmerged=tuple(sorted(unmerged_files(root))),
        out_of_date=tuple(file.path for file in outdated),
        retired=tuple(path for owner, path in load_path_owners(root) if owner == "retired" and (root / path).exists()),
        config_errors=config_errors,
    )


def compare_with_template(root: Path, answers_file: AnswersFile, template: TemplateRepository) -> Upstream:
    """Compare a repository with a clone of its template.

    Raises:
        ConfigError: The clone does not have the recorded release.
    """
    version = answers_file.version
    commit, newest = template.commit_of(version), template.newest_release()
    if commit is None:
        problem = f"it has no release {version}, which {answers_file.path} names"
        remedy = "Was the project generated from uncommitted changes? Generate it from a release"
        raise ConfigError(answers_file.source, problem, remedy)
    target = str(template.commit_of(newest))
    shipped = template.chassis_files(commit, answers_file.kept_paths, answers_file.forge)
    earlier, latest = template.read(commit, CHANGES_FILE), template.read(target, CHANGES_FILE)
    return Upstream(
        newest=newest,
        commits_behind=template.commits_between(commit, target),
        drift=_find_drift(root, shipped),
        changes=changes_between(earlier, latest, answers_file.answers),
        news=news_between(template.changelog(commit), template.changelog(target), answers_file.answers),
    )


def _try_upstream(root: Path, answers_file: AnswersFile, *, offline: bool) -> tuple[Upstream | None, str | None]:
    if offline:
        return None, "not checked (--offline)"
    try:
        with cloned_template(answers_file.source) as template:
            return compare_with_template(root, answers_file, template), None
    except ConfigError as error:
        return None, str(error)


def _config_errors(root: Path) -> Iterator[str]:
    for load in (load_constraints, load_ownership):
        try:
            load(root)
        except ConfigError as error:
            yield str(error)


REMEMBERED_FILE = "chassis-release.json"


@dataclass(frozen=True, slots=True)
class ReleaseComparison:
    """The chassis files of a repository beside those of its release.

    Args:
        source: Where the template is, as the answers file names it.
        version: The release.
        files: How many files were compared.
        kept: Chassis paths that the answers file exempts, because the team keeps a file of its own there.
        drift: How the files differ.
    """

    source: str
    version: str
    files: int
    kept: tuple[str, ...]
    drift: Drift


def compare_with_release(root: Path, *, use_remembered: bool = True) -> ReleaseComparison:
    """Compare the repository at `root` with its release.

    Args:
        root: The repository.
        use_remembered: Whether to remember the ids, and to use those that an earlier comparison remembered. Otherwise
            nothing is written.

    Raises:
        ConfigError: They cannot be compared: the answers file does not name a release, or the template cannot be
            reached or does not have it.
    """
    answers_file = load_answers_file(root)
    shipped = _remembered(root, answers_file) if use_remembered else _shipped(answers_file)
    # The answers file belongs to the repository, so it cannot exempt the chassis itself.
    kept = tuple(path for path in answers_file.kept_paths if not path.startswith(CHASSIS_FOLDER) and path in shipped)
    compared = {path: file for path, file in shipped.items() if path not in kept}
    return ReleaseComparison(
        answers_file.source, answers_file.version, len(compared), kept, _find_drift(root, compared)
    )


type Releases = dict[tuple[str, str], Mapping[str, ShippedFile] | None]
"""The chassis files of a release, by the source of the template and the version; None if there is no such release."""
_known_releases: ContextVar[Releases] = ContextVar("known_releases")


@contextmanager
def remembering_releases(known: Releases) -> Generator[None]:
    """Clone each template once, not for each repository that is compared, and add what it ships to those known.

    Nothing changes while the block runs, so a repository that is compared twice with the same files is read once.
    """
    token = _known_releases.set(known)
    try:
        yield
    finally:
        _known_releases.reset(token)
        _known_drift.cache_clear()


def _find_drift(root: Path, shipped: Mapping[str, ShippedFile]) -> Drift:
    if _known_releases.get(None) is None:
        return find_drift(root, shipped)
    return _known_drift(root, frozenset(shipped.items()))


@cache
def _known_drift(root: Path, shipped: frozenset[tuple[str, ShippedFile]]) -> Drift:
    return find_drift(root, dict(shipped))


def _shipped(answers_file: AnswersFile) -> Mapping[str, ShippedFile]:
    """Return the chassis files of every forge: a file of the other forge is either absent or compared."""
    known, key = _known_releases.get({}), (answers_file.source, answers_file.version)
    if key not in known:
        known[key] = _release(*key)
    if (shipped := known[key]) is None:
        problem = f"it has no release {answers_file.version}, which {answers_file.path} names"
        raise ConfigError(answers_file.source, problem, "Generate the project from a release, or update it to one")
    return shipped


def _release(source: str, version: str) -> Mapping[str, ShippedFile] | None:
    with cloned_template(source) as template:
        commit = template.commit_of(version)
        return None if commit is None else template.chassis_files(commit)


def _remembered(root: Path, answers_file: AnswersFile) -> Mapping[str, ShippedFile]:
    """Return the remembered ids if they are of this release; otherwise ask the template, and remember its answer."""
    file = root / git(root, "rev-parse", "--git-path", REMEMBERED_FILE).strip()
    key = [answers_file.source, answers_file.version]
    with suppress(OSError, TypeError, ValueError):
        remembered_key, shipped = json.loads(file.read_text(encoding="utf-8"))
        if remembered_key == key:
            return {path: ShippedFile(*each) for path, each in shipped.items()}
    shipped = _shipped(answers_file)
    file.write_text(json.dumps([key, shipped]), encoding="utf-8")
    return shipped
