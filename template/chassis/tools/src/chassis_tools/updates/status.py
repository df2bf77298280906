"""How a repository stands to its template, in one value that the screen, the JSON and the exit code all tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.config.constraints import load_constraints
from chassis.config.ownership import load_ownership
from chassis.config.project import Project
from chassis.errors import ConfigError
from chassis_tools.governance.decisions import load_decisions
from chassis_tools.governance.sync import drifts
from chassis_tools.updates.changes import FILE as CHANGES
from chassis_tools.updates.changes import Change, changes_between
from chassis_tools.updates.drift import Drift, drift_of
from chassis_tools.updates.git import unmerged
from chassis_tools.updates.law import law_of
from chassis_tools.updates.record import Record, load_record
from chassis_tools.updates.source import Template, clone_of


@dataclass(frozen=True, slots=True)
class Upstream:
    """What only the template's own repository can tell.

    Args:
        newest: The newest release, as `Template.newest` names it.
        commits_behind: How many commits of the template this repository lacks; 0 if it is up to date.
        drift: What was done to files of the chassis since they were shipped.
        changes: What would behave differently after an update to the newest release.
    """

    newest: str
    commits_behind: int
    drift: Drift
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """All that is known of a repository.

    Args:
        record: What Copier remembers.
        upstream: What the template tells; `None` if it could not be asked.
        unknown: Why it could not be asked.
        unmerged: Files with a merge that nobody has finished.
        stale: Derived files that are not what `chassis sync` would write.
        retired: Files of former releases that no release uses any more.
        misfits: What the chassis cannot read in the team's files of decisions, a sentence each.
    """

    record: Record
    upstream: Upstream | None
    unknown: str | None
    unmerged: tuple[str, ...]
    stale: tuple[str, ...]
    retired: tuple[str, ...]
    misfits: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing has to be mended, as far as it is known; an update that waits is no fault."""
        drifted = self.upstream is not None and bool(self.upstream.drift)
        return not (drifted or self.unmerged or self.stale or self.misfits)

    @property
    def behind(self) -> bool | None:
        """Whether there is a newer release; `None` if the template could not be asked."""
        return self.upstream.commits_behind > 0 if self.upstream else None


def status_of(project: Project, *, offline: bool = False) -> Status:
    """Look at a repository and, unless `offline`, at the repository of its template.

    Raises:
        ConfigError: It is no git repository, or Copier's record is missing or broken.
    """
    root = project.root
    record = load_record(root)
    upstream, unknown = _upstream(root, record, offline=offline)
    stale, misfits = _decisions(project)
    return Status(
        record=record,
        upstream=upstream,
        unknown=unknown,
        unmerged=tuple(sorted(unmerged(root))),
        stale=stale,
        retired=tuple(path for kind, path in law_of(root) if kind == "retired" and (root / path).exists()),
        misfits=misfits,
    )


def upstream_of(root: Path, record: Record, template: Template) -> Upstream:
    """Compare a repository with a clone of its template.

    Raises:
        ConfigError: The clone does not know the recorded release.
    """
    commit, newest = template.commit_of(record.version), template.newest()
    if commit is None:
        remedy = "Was it made from changes that nobody committed?"
        raise ConfigError(record.source, f"it has no release {record.version}, which .copier-answers.yml names", remedy)
    target = str(template.commit_of(newest))
    return Upstream(
        newest=newest,
        commits_behind=template.commits_between(commit, target),
        drift=drift_of(root, template.chassis(commit, record.kept, record.forge)),
        changes=changes_between(template.read(commit, CHANGES), template.read(target, CHANGES), record.answers),
    )


def _upstream(root: Path, record: Record, *, offline: bool) -> tuple[Upstream | None, str | None]:
    if offline:
        return None, "not asked (--offline)"
    try:
        with clone_of(record.source) as template:
            return upstream_of(root, record, template), None
    except ConfigError as error:
        return None, str(error)


def _decisions(project: Project) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the derived files that are stale, and what cannot be read in the files that they follow from."""
    misfits = tuple(_misfits(project.root))
    return () if misfits else tuple(drift.path for drift in drifts(load_decisions(project))), misfits


def _misfits(root: Path) -> Iterator[str]:
    for load in (load_constraints, load_ownership):
        try:
            load(root)
        except ConfigError as error:
            yield str(error)
