"""What is known of one repository: plain values, which the screen, the JSON and the page all show."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

CONCERNS = (
    "unreadable",
    "over budget",
    "waiver expired",
    "drifted",
    "owner lapsed",
    "sign-off due",
    "not ready",
    "behind",
)
"""What somebody has to do something about, the worst first."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A check of `chassis ready` that stands between a repository and the level that it needs: id, title, evidence."""

    check: str
    title: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Waiver:
    """A check that need not pass for a while.

    Args:
        check: Its id.
        until: The day from which it counts again.
        expired: Whether that day has come.
    """

    check: str
    until: date
    expired: bool


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the launch review says.

    Args:
        level: The level that is reached; none if not even the first is.
        needs: The level that its tier needs; none if its constraints cannot be read.
        blockers: What stands between the two.
    """

    level: str | None
    needs: str | None
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """A sign-off that keeps the service from being released.

    Args:
        kind: Which, such as `privacy`.
        state: Why it does not count: `missing`, `expired`, `stale` …
        because: The same in words.
    """

    kind: str
    state: str
    because: str


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A role whose owner nobody has confirmed in time.

    Args:
        role: The role of `ownership.toml`.
        team: Who is accountable, as the file names it.
        review_by: The day on which it should have been asked again.
    """

    role: str
    team: str
    review_by: date


@dataclass(frozen=True, slots=True)
class Drifted:
    """Files of the chassis that are not as they were shipped, by their path in the repository."""

    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.edited) + len(self.missing) + len(self.added)


@dataclass(frozen=True, slots=True)
class Budget:
    """What models may cost in a month.

    Args:
        per_month_usd: The ceiling that the service holds itself to.
        approved_usd: What procurement agreed to; none if it was never asked, said no, or its word has expired.
    """

    per_month_usd: float
    approved_usd: float | None = None

    @property
    def exceeds(self) -> bool:
        """Whether the service may spend more than procurement agreed to."""
        return self.approved_usd is not None and self.per_month_usd > self.approved_usd


@dataclass(frozen=True, slots=True)
class Facts:
    """One repository; what could not be read is none, and `troubles` says why.

    Args:
        name: The folder's name.
        path: Where it lies.
        service: What the service is called.
        version: The release of the template that it was last brought to.
        newest: The newest release.
        behind: How many commits of the template it lacks.
        drifted: What was done to files of the chassis.
        readiness: What `chassis ready` would say.
        waivers: What it may leave undone, and until when.
        lapsed: Owners whose date of review has passed.
        due: Sign-offs that block a release.
        budget: What it may spend.
        troubles: What is wrong with the repository itself, a sentence each.
    """

    name: str
    path: str
    service: str | None = None
    version: str | None = None
    newest: str | None = None
    behind: int | None = None
    drifted: Drifted | None = None
    readiness: Readiness | None = None
    waivers: tuple[Waiver, ...] | None = None
    lapsed: tuple[Lapsed, ...] | None = None
    due: tuple[Due, ...] | None = None
    budget: Budget | None = None
    troubles: tuple[str, ...] = ()

    @property
    def concerns(self) -> tuple[str, ...]:
        """Which of `CONCERNS` hold; empty if nothing has to be done."""
        holds = (
            bool(self.troubles),
            self.budget is not None and self.budget.exceeds,
            any(waiver.expired for waiver in self.waivers or ()),
            bool(self.drifted),
            bool(self.lapsed),
            bool(self.due),
            self.readiness is not None and bool(self.readiness.blockers),
            bool(self.behind),
        )
        return tuple(concern for concern, true in zip(CONCERNS, holds, strict=True) if true)


def tally(fleet: Iterable[Facts]) -> dict[str, int]:
    """Return how many repositories have each concern, and behind these how many have none."""
    every = [facts.concerns for facts in fleet]
    return {concern: sum(concern in own for own in every) for concern in CONCERNS} | {"in order": every.count(())}
