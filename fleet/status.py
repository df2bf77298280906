"""The status of one repository: plain values, shown alike in the terminal, the JSON and the page."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from chassis.config.constraints import SuccessMetric

CONCERNS = (
    "unreadable",
    "stop rule reached",
    "over budget",
    "waiver expired",
    "drifted",
    "owner unconfirmed",
    "sign-off due",
    "not ready",
    "out of date",
)
"""Reasons to act on a repository, most urgent first."""


@dataclass(frozen=True, slots=True)
class FailingCheck:
    """A check of `chassis ready` that keeps a repository from the level its tier requires: id, title, evidence."""

    check: str
    title: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """The result of the launch review.

    Args:
        level: The level reached; None if not even the first is.
        required_level: The level that its tier requires; None if its constraints cannot be read.
        failing_checks: The checks that fail for the required level.
    """

    level: str | None
    required_level: str | None
    failing_checks: tuple[FailingCheck, ...]


@dataclass(frozen=True, slots=True)
class WaiverStatus:
    """A check that is waived for a while.

    Args:
        check: Its id.
        until: The day from which the check counts again.
        expired: Whether that day has come.
    """

    check: str
    until: date
    expired: bool


@dataclass(frozen=True, slots=True)
class BlockingSignOff:
    """A sign-off that blocks a release.

    Args:
        kind: Its kind, such as `privacy`.
        state: Why it does not count: `missing`, `expired`, `stale` …
        reason: The same in a sentence.
    """

    kind: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class UnconfirmedOwner:
    """A role of `ownership.toml` whose owner was not confirmed in time.

    Args:
        role: The role.
        team: The accountable team.
        review_by: The day by which the owner had to be confirmed.
    """

    role: str
    team: str
    review_by: date


@dataclass(frozen=True, slots=True)
class DriftedFiles:
    """Chassis files that differ from what the release ships, by their path in the repository."""

    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.edited) + len(self.missing) + len(self.added) + len(self.untracked)


@dataclass(frozen=True, slots=True)
class MonthlyBudget:
    """What models may cost per month.

    Args:
        per_month_usd: The budget limit of the service.
        approved_usd: What procurement approved; None without a sign-off that is approved and not expired.
    """

    per_month_usd: float
    approved_usd: float | None = None

    @property
    def exceeds_approval(self) -> bool:
        """Whether the service may spend more than procurement approved."""
        return self.approved_usd is not None and self.per_month_usd > self.approved_usd


@dataclass(frozen=True, slots=True)
class SuccessStatus:
    """The metric of `[success]` in `constraints.toml`, and its value where it is known.

    Args:
        metric: The metric.
        target: The value to reach.
        stop_at: The value at which the service should be stopped.
        value: The value over the last 28 days; None if it is not measured, or not known here.
        observations: The calls, ratings or verdicts that it is of.
        target_reached: Whether it is as good as the target.
        stop_rule_reached: Whether it is as bad as `stop_at`, of enough observations.
    """

    metric: SuccessMetric
    target: float
    stop_at: float
    value: float | None
    observations: int
    target_reached: bool
    stop_rule_reached: bool


@dataclass(slots=True)
class ServiceStatus:
    """One repository, filled in while it is inspected; a value that could not be read is None, and `errors` says why.

    Args:
        name: The name of its folder.
        path: The path of its folder.
        service: The name of the service.
        version: The release of the template that it was generated from or last updated to.
        newest_version: The newest release of the template.
        commits_behind: Number of template commits between these two.
        drift: Chassis files that were changed.
        readiness: The result of `chassis ready`.
        waivers: Entries of `waivers.toml`.
        unconfirmed_owners: Roles whose owner was not confirmed in time.
        blocking_signoffs: Sign-offs that block a release.
        budget: The monthly budget.
        success: The metric of `[success]`, and what was measured.
        errors: What could not be read, one sentence each.
    """

    name: str
    path: str
    service: str | None = None
    version: str | None = None
    newest_version: str | None = None
    commits_behind: int | None = None
    drift: DriftedFiles | None = None
    readiness: Readiness | None = None
    waivers: tuple[WaiverStatus, ...] | None = None
    unconfirmed_owners: tuple[UnconfirmedOwner, ...] | None = None
    blocking_signoffs: tuple[BlockingSignOff, ...] | None = None
    budget: MonthlyBudget | None = None
    success: SuccessStatus | None = None
    errors: list[str] = field(default_factory=list[str])

    @property
    def concerns(self) -> tuple[str, ...]:
        """The members of `CONCERNS` that apply; empty if there is nothing to do."""
        applies = (
            bool(self.errors),
            self.success is not None and self.success.stop_rule_reached,
            self.budget is not None and self.budget.exceeds_approval,
            any(waiver.expired for waiver in self.waivers or ()),
            bool(self.drift),
            bool(self.unconfirmed_owners),
            bool(self.blocking_signoffs),
            self.readiness is not None and bool(self.readiness.failing_checks),
            bool(self.commits_behind),
        )
        return tuple(concern for concern, is_true in zip(CONCERNS, applies, strict=True) if is_true)


def count_concerns(fleet: Iterable[ServiceStatus]) -> dict[str, int]:
    """Return the number of repositories with each concern, and last the number with none."""
    concerns = [status.concerns for status in fleet]
    counts = {concern: sum(concern in each for each in concerns) for concern in CONCERNS}
    return counts | {"in order": concerns.count(())}
