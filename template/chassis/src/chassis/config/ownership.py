"""`ownership.toml`, typed: for every part of the system's life exactly one team that answers for it.

Decided here: a deputy is always another team, so that a holiday or a reorganisation empties no role. Only while the
file names a single team, as in a small company, every deputy is left out.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chassis.config.constraints import RiskTier
from chassis.config.toml_file import Section, load_toml
from chassis.errors import ConfigError

FILE = "ownership.toml"
MAX_REVIEW: dict[RiskTier, timedelta] = {
    "experiment": timedelta(days=365),
    "standard": timedelta(days=365),
    "critical": timedelta(days=183),
}

type TeamId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
type Pattern = Annotated[str, Field(pattern=r"^(/|\*)[^\s#!\[\]]*$")]


class Team(Section):
    """Those who can own something."""

    handle: str = Field(pattern=r"^@[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*$")
    """How the forge calls it: `@company/team`, on GitLab also `@group/subgroup/team`, or `@person`."""
    email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    """Where people reach it; needed as soon as it is accountable for a role."""


class Role(Section):
    """One part of the system's life."""

    accountable: str
    """The one team that answers for this."""
    deputy: str | None = None
    """Another team that stands in."""
    paths: tuple[Pattern, ...] = ()
    """Patterns of CODEOWNERS, from the root (`/evals/`) or anywhere (`*`, `*.md`)."""
    review_by: date | None = None
    """When to ask again whether this is still the right team; `chassis sync` says so from that day on. It may lie at
    most a year ahead, in the tier `critical` half a year, so that nobody writes 2099."""


class Roles(Section):
    """Every part of a system's life that someone has to own. One team may hold many."""

    system: Role
    """Everything that no other role covers; the contact on every referral."""
    model_quality: Role
    """Are the answers good enough, and is a model still worth its price?"""
    evaluation_data: Role
    """Do the cases still show what callers ask?"""
    prompts: Role
    """What are the models told?"""
    data_protection: Role
    """What may be sent where, and what is kept? Gives the privacy sign-off."""
    user_experience: Role
    """Do callers get what they came for?"""
    cost: Role
    """May it cost this much? Called when money runs out."""
    reliability: Role
    """Does it answer in time, and who is called when it does not?"""
    security: Role
    """Who may call it, and what could they do? Gives the security sign-off, and reads what `SECURITY.md` asks for."""
    vendor: Role
    """Contracts with those who run the models. Gives the procurement sign-off."""
    legal: Role
    """Which laws apply, and who said so? Gives the legal sign-off."""
    integrations: Role
    """The systems that call it and that it calls."""
    risk_acceptance: Role
    """Who signs for what is left? Gives the risk sign-off."""


class Ownership(Section):
    """The whole file."""

    lifecycle: Literal["experimental", "production", "deprecated"]
    """Where in its life the system is."""
    teams: dict[TeamId, Team] = Field(min_length=1)
    roles: Roles

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for complaint in self._complaints():
            raise ValueError(complaint)
        return self

    def _complaints(self) -> Iterator[str]:
        owner_of: dict[str, str] = {}
        for name, role in self.roles:
            yield from self._complaints_about(name, role)
            for path in role.paths:
                if path in owner_of:
                    yield f"{path!r} is in roles.{owner_of[path]}.paths and in roles.{name}.paths; keep it in one"
                owner_of[path] = name

    def _complaints_about(self, name: str, role: Role) -> Iterator[str]:
        known = ", ".join(sorted(self.teams))
        for key, team in (("accountable", role.accountable), ("deputy", role.deputy)):
            if team is not None and team not in self.teams:
                yield f"roles.{name}.{key} is {team!r}, no team here; add [teams.{team}] or write one of: {known}"
        if role.deputy == role.accountable:
            yield f"roles.{name}.deputy is {role.deputy!r}, as is accountable; name another team, or none if alone"
        if role.deputy is None and len(self.teams) > 1:
            yield f"roles.{name}.deputy is missing although there are several teams; add one of: {known}"
        if self.accountable(role).email is None:
            yield f"teams.{role.accountable}.email is missing although the team is accountable for {name!r}; add it"

    @property
    def owner(self) -> Team:
        """Return the team that is accountable for the system."""
        return self.accountable(self.roles.system)

    @property
    def contact(self) -> str:
        """Return the address of the team that is accountable for the system."""
        return str(self.owner.email)

    def accountable(self, role: Role) -> Team:
        """Return the team that answers for a role; it has an address."""
        return self.teams[role.accountable]

    def deputy(self, role: Role) -> Team | None:
        """Return the team that stands in, if there is another one."""
        return self.teams[role.deputy] if role.deputy else None

    def due_reviews(self, today: date) -> list[str]:
        """Return the roles whose `review_by` has come."""
        return [name for name, role in self.roles if role.review_by is not None and role.review_by <= today]

    def check_reviews(self, today: date, tier: RiskTier) -> None:
        """Refuse a `review_by` that lies so far off that nobody will ever be asked.

        Raises:
            ConfigError: It names the role, the date and the latest one possible.
        """
        latest = today + MAX_REVIEW[tier]
        for name, role in self.roles:
            if role.review_by is not None and role.review_by > latest:
                where = f"{FILE}: roles.{name}.review_by"
                raise ConfigError(where, f"the value is {role.review_by}", f"Write {latest} or an earlier day")


def load_ownership(root: Path) -> Ownership:
    """Read and check `ownership.toml` of the project at `root`.

    Raises:
        ConfigError: The file is missing, is not TOML, or leaves a role without exactly one owner.
    """
    return load_toml(root / FILE, Ownership)
