"""Inspects repositories: reads their files and compares their chassis with the release they were generated from."""

import os
import signal
import tomllib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from math import isfinite
from pathlib import Path
from types import FrameType
from typing import NoReturn

from chassis.config.constraints import CONSTRAINTS_FILE, load_constraints
from chassis.config.ownership import load_ownership
from chassis.config.project import find_project
from chassis.errors import ConfigError
from chassis.quality.success import SuccessMeasurement
from chassis_tools.governance.signoffs import BLOCKS_RELEASE, SignOff, load_signoffs, signoff_statuses
from chassis_tools.readiness.launch_review import CHECKS, load_waivers, run_checks
from chassis_tools.updates.copier import load_answers_file
from chassis_tools.updates.status import compare_with_template, remembering_releases
from chassis_tools.updates.template_repository import TemplateRepository

from fleet.measurements import Measurements
from fleet.repositories import RepositorySource, is_clone, services_in
from fleet.status import (
    BlockingSignOff,
    DriftedFiles,
    FailingCheck,
    MonthlyBudget,
    Readiness,
    ServiceStatus,
    SuccessStatus,
    UnconfirmedOwner,
    WaiverStatus,
)
from fleet.template import KNOWN_RELEASES

PART_TIMEOUT_SECONDS = 60
"""How long each part of the inspection of one repository may take."""
BUDGET_FACT = "per_month_usd: "
"""The prefix of the fact in procurement's sign-off that names the budget."""


def inspect_all(
    sources: Sequence[RepositorySource],
    template: TemplateRepository,
    today: date,
    measurements: Measurements | None = None,
) -> Iterator[ServiceStatus]:
    """Yield the status of each service as soon as it is known, with one process per CPU."""
    with ProcessPoolExecutor(max_workers=min(os.cpu_count() or 1, len(sources) or 1)) as pool:
        futures = {pool.submit(inspect_source, source, template, today, measurements): source for source in sources}
        for future in as_completed(futures):
            try:
                yield from future.result()
            except BrokenProcessPool:
                error = "The inspection was ended by the system, perhaps because it ran out of memory"
                yield _unreadable(futures[future].path, error)


def inspect_source(
    source: RepositorySource, template: TemplateRepository, today: date, measurements: Measurements | None = None
) -> list[ServiceStatus]:
    """Fetch a repository if it has an address, and return the status of each service in it.

    Args:
        source: The repository; its folder may hold anything, or be missing.
        template: A clone of the template with all its releases.
        today: The day on which dates are judged.
        measurements: What services have measured.
    """
    # Otherwise git would answer for a repository around a broken one.
    os.environ["GIT_CEILING_DIRECTORIES"] = str(source.clone.resolve().parent)
    if error := source.fetch() or _not_a_clone(source.clone):
        return [_unreadable(source.path, error)]
    try:
        folders = services_in(source.path)
    except ConfigError as error:
        return [_unreadable(source.path, str(error))]
    parent = source.clone.resolve().parent
    statuses = [ServiceStatus(str(folder.resolve().relative_to(parent)), str(folder)) for folder in folders] or [
        _unreadable(source.path, "It was not generated from this template: it has no chassis/paths.txt")
    ]
    for folder, status in zip(folders, statuses, strict=False):
        with remembering_releases(KNOWN_RELEASES):
            Inspection(folder, template, today, status, measurements or {}).run()
    return statuses


def _unreadable(path: Path, error: str) -> ServiceStatus:
    return ServiceStatus(name=path.name, path=str(path), errors=[error])


@contextmanager
def _time_limit(seconds: int) -> Generator[None]:
    """Raise `TimeoutError` in the block after some time, also while it waits for a file that never ends."""

    def interrupt(_signal_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"no end within {seconds} seconds")

    former = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def _not_a_clone(root: Path) -> str | None:
    """Return why the folder cannot be inspected, or None if it can."""
    if not root.is_dir():
        return "There is no such folder"
    if not is_clone(root):
        return "This folder is not a clone: it has no .git"
    return None


@dataclass(frozen=True, slots=True)
class Inspection:
    """The inspection of one repository. Each part sets what it can read, so an error in one does not hide another."""

    root: Path
    template: TemplateRepository
    today: date
    status: ServiceStatus
    measurements: Measurements

    def run(self) -> None:
        """Fill in the status part by part."""
        parts = {
            "project": self._read_project,
            "release": self._read_release,
            "readiness": self._read_readiness,
            "owners": self._read_owners,
            "sign-offs": self._read_signoffs,
            "success": self._read_success,
        }
        for name, read in parts.items():
            try:
                with _time_limit(PART_TIMEOUT_SECONDS):
                    read()
            except ConfigError as error:
                self.status.errors.append(str(error))
            except Exception as error:  # noqa: BLE001 - a foreign folder may hold anything, and is still a row
                self.status.errors.append(f"The {name} could not be read: {type(error).__name__}: {error}")

    def _read_project(self) -> None:
        project = find_project(self.root)
        if project.root != self.root.resolve():
            problem = "there is none with [tool.chassis] in this folder"
            raise ConfigError("pyproject.toml", problem, "Was it generated from another template?")
        self.status.service = project.name

    def _read_release(self) -> None:
        answers = load_answers_file(self.root)
        self.status.version = answers.version
        if self.template.commit_of(answers.version) is None:
            remedy = "Fetch its tags (git fetch --tags), or name another clone with --template"
            where = f"The clone of the template at {self.template.git_dir}"
            raise ConfigError(where, f"it has no release {answers.version}, which {answers.path} names", remedy)
        comparison = compare_with_template(self.root, answers, self.template)
        self.status.newest_version = comparison.newest
        self.status.commits_behind = comparison.commits_behind
        drift = comparison.drift
        self.status.drift = DriftedFiles(drift.edited, drift.missing, drift.added, tuple(drift.untracked))

    def _read_readiness(self) -> None:
        review = run_checks(self.root, self.today)
        failing = tuple(FailingCheck(each.check.id, each.check.title, each.evidence) for each in review.blocking)
        self.status.readiness = Readiness(review.level, review.tier, failing)
        waivers = load_waivers(self.root, {check.id for check in CHECKS})
        self.status.waivers = tuple(
            WaiverStatus(check, waiver.until, waiver.until <= self.today) for check, waiver in waivers.items()
        )

    def _read_owners(self) -> None:
        ownership = load_ownership(self.root)
        due = set(ownership.due_reviews(self.today))
        self.status.unconfirmed_owners = tuple(
            UnconfirmedOwner(name, role.accountable, role.review_by) for name, role in ownership.roles if name in due
        )

    def _read_success(self) -> None:
        success = load_constraints(self.root).success
        measured = self.measurements.get((self.status.service or "", success.metric))
        value, observations = (measured.value, measured.observations) if measured else (None, 0)
        result = SuccessMeasurement(success, value, observations)
        self.status.success = SuccessStatus(
            success.metric,
            success.target,
            success.stop_at,
            value,
            observations,
            result.target_reached,
            result.stop_rule_reached,
        )

    def _read_signoffs(self) -> None:
        self.status.budget = _budget_of_any_release(self.root)
        constraints = load_constraints(self.root)
        signoffs = load_signoffs(self.root)
        approved_usd = _approved_usd(signoffs.get("procurement"), self.today)
        self.status.budget = MonthlyBudget(constraints.cost.per_month_usd, approved_usd)
        self.status.blocking_signoffs = tuple(
            BlockingSignOff(each.kind, str(each.state), each.reason)
            for each in signoff_statuses(constraints, signoffs, self.today).values()
            if each.state in BLOCKS_RELEASE
        )


def _budget_of_any_release(root: Path) -> MonthlyBudget | None:
    """Return the budget even if `constraints.toml` has other keys than this release knows."""
    if not (root / CONSTRAINTS_FILE).is_file():
        return None
    try:
        constraints = tomllib.loads((root / CONSTRAINTS_FILE).read_text(encoding="utf-8"))
        budget = float(constraints["cost"]["per_month_usd"])
    except (KeyError, OSError, TypeError, ValueError):
        return None
    return MonthlyBudget(budget) if isfinite(budget) else None


def _approved_usd(procurement: SignOff | None, today: date) -> float | None:
    """Return the dollars per month that procurement approved, if its sign-off has not expired."""
    if procurement is None or not procurement.decision.startswith("approved") or procurement.expires_on <= today:
        return None
    amounts = (fact.removeprefix(BUDGET_FACT) for fact in procurement.covers if fact.startswith(BUDGET_FACT))
    return next((float(amount) for amount in amounts), None)
