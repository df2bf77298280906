"""Runs every check on one repository, applies the waivers of `waivers.toml`, and determines the level it reaches."""

import pkgutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Self, get_args

from pydantic import Field, model_validator

from chassis.config.constraints import RiskTier
from chassis.config.toml_file import Section, load_toml
from chassis.errors import ConfigError
from chassis.quality.success import SuccessMeasurement
from chassis_tools import readiness
from chassis_tools.readiness.check import (
    Check,
    CheckFailed,
    CheckStatus,
    CheckUnknown,
    Family,
    PartialEvidence,
    Repository,
)

FILE = "waivers.toml"
MAX_DURATION = timedelta(days=90)

# A module registers its checks when it is imported.
for module in pkgutil.iter_modules(readiness.__path__, f"{readiness.__name__}."):
    if ".checks_" in module.name:
        import_module(module.name)

TIERS: tuple[RiskTier, ...] = get_args(RiskTier.__value__)
CHECKS = tuple(sorted((check() for check in Check.registered), key=lambda check: tuple(Family).index(check.family)))
"""Every check, family by family; `chassis/handbook/launch.md` is generated from it."""


class Waiver(Section):
    """One check that need not pass for a limited time."""

    reason: str = Field(min_length=10)
    """Why, in one sentence."""
    author: str = Field(min_length=2)
    """The person who asks for the waiver."""
    approver: str = Field(min_length=2)
    """The person who approves it: not the author."""
    from_day: date = Field(alias="from")
    """The first day on which the waiver is valid."""
    until: date
    """The first day on which it is no longer valid: at most 90 days after `from`."""

    @model_validator(mode="after")
    def _is_limited_and_approved(self) -> Self:
        if self.approver.strip().casefold() == self.author.strip().casefold():
            raise ValueError(f"approver is {self.approver!r}, the same as author; name another person")
        if not self.from_day < self.until <= self.from_day + MAX_DURATION:
            raise ValueError(f"until is {self.until}; write a day after `from`, at most {MAX_DURATION.days} days later")
        return self


class Waivers(Section):
    """The whole file: one table for each waived check, by its id."""

    waive: dict[str, Waiver] = Field(default_factory=dict)


def load_waivers(root: Path, check_ids: Collection[str]) -> dict[str, Waiver]:
    """Return the waivers by the id of their check; none if there is no file.

    Args:
        root: The folder of the repository.
        check_ids: The ids of all checks.

    Raises:
        ConfigError: The file is invalid, or a waiver is for a check that does not exist.
    """
    if not (root / FILE).exists():
        return {}
    waivers = load_toml(root / FILE, Waivers).waive
    for check_id in waivers:
        if check_id not in check_ids:
            raise ConfigError(
                f"{FILE}: waive.{check_id}", "no such check", "Write an id that `chassis ready --all` prints"
            )
    return waivers


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Args:
        check: The check.
        status: Whether the requirement is met.
        evidence: What the check has read, in words.
        unseen: What a check that passes could not see.
    """

    check: Check
    status: CheckStatus
    evidence: str
    unseen: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Tell whether it keeps the repository from the level of its check."""
        return self.status in {CheckStatus.FAIL, CheckStatus.UNKNOWN}


@dataclass(frozen=True, slots=True)
class LaunchReview:
    """The results of all checks.

    Args:
        name: The name of the project, or of its folder.
        tier: The level that a release needs; None if the constraints cannot be read.
        results: One result for each check, in the order of `CHECKS`.
        waivers_error: What is wrong with `waivers.toml`; no waiver counts then.
    """

    name: str
    tier: RiskTier | None
    results: tuple[CheckResult, ...]
    waivers_error: str | None

    @property
    def level(self) -> RiskTier | None:
        """Return the highest level whose checks, and those of all lower levels, pass or are waived."""
        reached = None
        for tier in TIERS:
            if any(result.blocks and result.check.level == tier for result in self.results):
                break
            reached = tier
        return reached

    @property
    def blocking(self) -> tuple[CheckResult, ...]:
        """Return the results that keep the repository from the level that a release needs."""
        needed = TIERS[: TIERS.index(self.tier or TIERS[-1]) + 1]
        return tuple(result for result in self.results if result.blocks and result.check.level in needed)


def run_checks(root: Path, today: date, measured_success: SuccessMeasurement | None = None) -> LaunchReview:
    """Run every check. Nothing in the repository is imported, run or written.

    Args:
        root: The folder of the repository.
        today: The date that dates in the repository are compared with.
        measured_success: The measured value of its success metric, if its database was read.
    """
    repository = Repository(root, today, measured_success)
    waivers, waivers_error = dict[str, Waiver](), None
    try:
        waivers = load_waivers(root, {check.id for check in CHECKS})
    except ConfigError as error:
        waivers_error = str(error)
    results = tuple(_run(check, repository, waivers.get(check.id)) for check in CHECKS)
    try:
        return LaunchReview(repository.project.name, repository.constraints.risk.tier, results, waivers_error)
    except (ConfigError, ValueError):
        return LaunchReview(root.name, None, results, waivers_error)


def _run(check: Check, repository: Repository, waiver: Waiver | None) -> CheckResult:
    try:
        found = check.check(repository)
        if isinstance(found, PartialEvidence):
            return CheckResult(check, CheckStatus.PASS, found.text, found.unseen)
        return CheckResult(check, CheckStatus.PASS, found)
    except CheckFailed as error:
        status, evidence = CheckStatus.FAIL, str(error)
    except (CheckUnknown, ConfigError, OSError, SyntaxError, ValueError) as error:
        status, evidence = CheckStatus.UNKNOWN, str(error)
    except RecursionError:
        status, evidence = CheckStatus.UNKNOWN, "a file is nested too deeply to be read"
    if waiver is None:
        return CheckResult(check, status, evidence)
    if not waiver.from_day <= repository.today < waiver.until:
        period = f"from {waiver.from_day} until {waiver.until}"
        return CheckResult(check, status, f"{evidence}; the waiver in {FILE} is only valid {period}")
    evidence = f"{evidence}; waived by {waiver.approver} until {waiver.until}: {waiver.reason}"
    return CheckResult(check, CheckStatus.WAIVED, evidence)
