"""`ownership.toml`, typed: one accountable team for every role in the life of the service.

A deputy is always a different team, so that no role is left without an owner during a holiday or a reorganization. Only
a file with a single team has no deputies.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chassis.config.constraints import RiskTier
from chassis.config.toml_file import Section, load_toml
from chassis.errors import ConfigError

OWNERSHIP_FILE = "ownership.toml"
MAX_REVIEW_PERIOD: dict[RiskTier, timedelta] = {
    "experiment": timedelta(days=365),
    "standard": timedelta(days=365),
    "critical": timedelta(days=183),
}

type TeamId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
type AlertChannel = Literal["email", "slack", "pagerduty", "webhook"]
type PathPattern = Annotated[str, Field(pattern=r"^(/|\*)[^\s#!\[\]]*$")]


class Team(Section):
    """A team that can be accountable for a role."""

    handle: str = Field(pattern=r"^@[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*$")
    """The team's handle on the forge: `@company/team`, on GitLab also `@group/subgroup/team`, or `@person`."""
    email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    """The team's email address. Required if the team is accountable for a role."""
    notify: frozenset[Literal["webhook", "email"]] = frozenset()
    """How the team is notified of new and overdue referrals, if it is accountable for `system`. `webhook` needs
    `CHASSIS_WEBHOOK_SECRET`, `email` needs `CHASSIS_SMTP_URL`."""
    webhook: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """The URL that gets the webhooks."""
    private_network: bool = False
    """Whether the host of `webhook` may have an address in a private network. Otherwise nothing is sent there."""
    alerts: frozenset[AlertChannel] = Field(default=frozenset[AlertChannel]({"email"}), min_length=1)
    """How the team gets alerts, if it is accountable for a role. Alertmanager reads the secret that a channel needs
    from a file: `/run/secrets/TEAM-slack-url`, `TEAM-webhook-url` or `TEAM-pagerduty-key`."""

    @model_validator(mode="after")
    def _check_webhook(self) -> Self:
        if ("webhook" in self.notify) != (self.webhook is not None):
            raise ValueError("webhook and notify = ['webhook'] go together; give both or neither")
        return self


class Confirmation(Section):
    """A person's word that a team owns a role."""

    team: str
    """The team, as in `accountable`: after a change of owner the confirmation no longer counts."""
    by: str = Field(min_length=3)
    """The person of that team who confirmed it."""
    on: date
    """The day on which they did."""


class Role(Section):
    """One responsibility."""

    accountable: str
    """The one team that answers for the role."""
    deputy: str | None = None
    """Another team that stands in for it."""
    paths: tuple[PathPattern, ...] = ()
    """CODEOWNERS patterns of the files that belong to the role: from the root (`/evals/`) or anywhere (`*`, `*.md`)."""
    confirmed: Confirmation | None = None
    """Who confirmed that the accountable team owns the role. Until then `chassis ready` counts the owner as open."""
    review_by: date | None = None
    """The day on which to check whether this is still the right team. From then on `chassis sync` prints a reminder. At
    most a year ahead, in the tier `critical` half a year."""


class Roles(Section):
    """The responsibilities that need an owner. One team may have several."""

    system: Role
    """Everything that no other role covers. Its team is the contact on every referral."""
    model_quality: Role
    """Are the answers good enough, and is a model still worth its price?"""
    evaluation_data: Role
    """Do the cases still show what callers ask?"""
    prompts: Role
    """What do the prompts say?"""
    data_protection: Role
    """Which data may be sent where, and what is stored? Gives the privacy sign-off."""
    user_experience: Role
    """Do callers get what they need?"""
    cost: Role
    """How much may it cost? Gets the alerts on budgets."""
    reliability: Role
    """Does it answer in time, and who is on call?"""
    security: Role
    """Who may call it, and what could they do? Gives the security sign-off and reads reports as `SECURITY.md` says."""
    vendor: Role
    """Contracts with the vendors of models. Gives the procurement sign-off."""
    legal: Role
    """Which laws apply? Gives the legal sign-off."""
    integrations: Role
    """The systems that call it and that it calls."""
    risk_acceptance: Role
    """Who accepts the remaining risk? Gives the risk sign-off."""


class Ownership(Section):
    """The whole file."""

    lifecycle: Literal["experimental", "production", "deprecated"]
    """The stage of the system's life, as the service catalog shows it."""
    teams: dict[TeamId, Team] = Field(min_length=1)
    roles: Roles

    @model_validator(mode="after")
    def _check_roles(self) -> Self:
        # Only the first: later checks may rely on what earlier ones have found to be valid.
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        """Yield each mistake and its remedy, separated by a semicolon."""
        role_of: dict[str, str] = {}
        for name, role in self.roles:
            yield from self._problems_of(name, role)
            for path in role.paths:
                if path in role_of:
                    yield f"{path!r} is in roles.{role_of[path]}.paths and in roles.{name}.paths; keep it in one"
                role_of[path] = name

    def _problems_of(self, name: str, role: Role) -> Iterator[str]:
        teams = ", ".join(sorted(self.teams))
        for key, team in (("accountable", role.accountable), ("deputy", role.deputy)):
            if team is not None and team not in self.teams:
                yield f"roles.{name}.{key} is {team!r}, which is no team; add [teams.{team}] or write one of: {teams}"
        if role.deputy == role.accountable:
            yield f"roles.{name}.deputy is {role.deputy!r}, as is accountable; name another team, or none if alone"
        if role.deputy is None and len(self.teams) > 1:
            yield f"roles.{name}.deputy is missing although there are several teams; add one of: {teams}"
        if self.accountable(role).email is None:
            yield f"teams.{role.accountable}.email is missing although the team is accountable for {name!r}; add it"

    @property
    def owner(self) -> Team:
        """Return the team that is accountable for the system."""
        return self.accountable(self.roles.system)

    @property
    def contact(self) -> str:
        """Return the email address of the owner."""
        return str(self.owner.email)

    def accountable(self, role: Role) -> Team:
        """Return the team that answers for a role. It has an email address."""
        return self.teams[role.accountable]

    def deputy(self, role: Role) -> Team | None:
        """Return the team that stands in for the accountable one, if there is one."""
        return self.teams[role.deputy] if role.deputy else None

    def due_reviews(self, today: date) -> list[str]:
        """Return the names of the roles whose `review_by` is today or in the past."""
        return [name for name, role in self.roles if role.review_by is not None and role.review_by <= today]

    def unconfirmed(self, today: date, tier: RiskTier) -> list[str]:
        """Return the names of the roles whose present owner no one has confirmed within the time that a tier allows."""
        oldest = today - MAX_REVIEW_PERIOD[tier]
        return [
            name
            for name, role in self.roles
            if role.confirmed is None
            or role.confirmed.team != role.accountable
            or not oldest < role.confirmed.on <= today
        ]

    def check_reviews(self, today: date, tier: RiskTier) -> None:
        """Check that no `review_by` is too far in the future.

        Raises:
            ConfigError: One is. The error names the role, the date and the latest date allowed.
        """
        latest = today + MAX_REVIEW_PERIOD[tier]
        for name, role in self.roles:
            if role.review_by is not None and role.review_by > latest:
                where = f"{OWNERSHIP_FILE}: roles.{name}.review_by"
                raise ConfigError(where, f"the value is {role.review_by}", f"Write {latest} or an earlier day")


def load_ownership(root: Path) -> Ownership:
    """Read and check `ownership.toml` of the project at `root`.

    Raises:
        ConfigError: The file is missing or is not TOML, or a role does not have exactly one owner.
    """
    return load_toml(root / OWNERSHIP_FILE, Ownership)
