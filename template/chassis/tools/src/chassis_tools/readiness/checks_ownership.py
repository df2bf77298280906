"""Checks of `ownership.toml`, the files derived from it, and the sign-offs of its teams."""

from typing import ClassVar

from chassis.config.constraints import RiskTier
from chassis.config.ownership import OWNERSHIP_FILE
from chassis.errors import ConfigError
from chassis_tools.governance.derived_files import out_of_date_files
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS
from chassis_tools.governance.signoffs import BLOCKS_RELEASE
from chassis_tools.readiness.check import Check, CheckFailed, Family, Repository, require, summarize
from chassis_tools.readiness.placeholders import is_example_address, is_example_handle

GOVERNED_PATHS = ("/constraints.toml", "/ownership.toml", "/evals/", "/signoffs/", "/waivers.toml", "/chassis/")


class OwnershipCheck(Check):
    """A check of roles and teams."""

    family = Family.OWNERSHIP
    file = OWNERSHIP_FILE


class OwnersConfirmed(OwnershipCheck, id="OWN101", level="standard"):
    """A person confirmed the owner of every role.

    Every role in `ownership.toml` has a `confirmed` for the team that is accountable now, within the last year, for
    `critical` half a year, and no `review_by` has passed. Only people can know whether a team really owns a role.
    """

    remedy = 'Ask each team, then write `confirmed = { team = "…", by = "a person", on = 2026-12-01 }` in its roles'

    def check(self, repository: Repository) -> str:
        ownership, tier = repository.ownership, repository.constraints.risk.tier
        due = ownership.due_reviews(repository.today)
        require(not due, f"review_by has passed: {', '.join(due)}", "")
        open_roles = ownership.unconfirmed(repository.today, tier)
        people = {role.confirmed.by for _, role in ownership.roles if role.confirmed}
        return require(
            not open_roles, f"not confirmed: {summarize(open_roles)}", f"confirmed by {', '.join(sorted(people))}"
        )


class TeamsAreReal(OwnershipCheck, id="OWN107", level="experiment"):
    """No team is an example.

    No handle in `ownership.toml` is one of `@acme`, and no address has a domain that is reserved for examples, such as
    `acme.example`. Alerts, referrals and reports of weaknesses would reach no one.
    """

    remedy = "Write the handles and addresses of your teams, then run `uv run chassis sync`"

    def check(self, repository: Repository) -> str:
        teams = repository.ownership.teams.values()
        examples = [team.handle for team in teams if is_example_handle(team.handle)]
        examples += [team.email for team in teams if team.email and is_example_address(team.email)]
        handles = ", ".join(team.handle for team in teams)
        return require(not examples, f"still an example: {', '.join(examples)}", f"teams: {handles}")


class ConfirmationsScheduled(OwnershipCheck, id="OWN102", level="standard"):
    """Every role has a date on which to ask for its owner again.

    Every role in `ownership.toml` has a `review_by`. Without it, a role can lose its owner unnoticed.
    """

    remedy = "Add review_by to the role"

    def check(self, repository: Repository) -> str:
        undated = [name for name, role in repository.ownership.roles if role.review_by is None]
        return require(not undated, f"no review_by: {', '.join(undated)}", "every role has a review_by")


class ConfirmationsFrequent(OwnershipCheck, id="OWN103", level="standard"):
    """No date for asking again is too far ahead.

    No `review_by` is further in the future than `risk.tier` allows: a year, or half a year for `critical`.
    """

    remedy = "Set an earlier review_by"

    def check(self, repository: Repository) -> str:
        ownership, tier = repository.ownership, repository.constraints.risk.tier
        try:
            ownership.check_reviews(repository.today, tier)
        except ConfigError as error:
            raise CheckFailed(str(error)) from None
        return "every review_by is within the limit"


class RolesHaveDeputies(OwnershipCheck, id="OWN104", level="critical"):
    """Every role has a deputy.

    Every role in `ownership.toml` has a `deputy`: the team that is asked when the accountable one is away.
    """

    remedy = "Name a second team as deputy"

    def check(self, repository: Repository) -> str:
        missing = [name for name, role in repository.ownership.roles if role.deputy is None]
        return require(not missing, f"no deputy: {', '.join(missing)}", "every role has a deputy")


class DerivedFilesCurrent(OwnershipCheck, id="OWN105", level="experiment"):
    """Derived files are up to date.

    CODEOWNERS, the catalog entry, the security contacts and the monitoring files are up to date. They are written
    from `constraints.toml`, `ownership.toml` and `pyproject.toml`.
    """

    remedy = "Run `uv run chassis sync`"

    def check(self, repository: Repository) -> str:
        outdated = [f"{file.path} is {file.problem}" for file in out_of_date_files(repository.decisions)]
        return require(not outdated, ", ".join(outdated), "all derived files are up to date")


class GovernedPathsOwned(OwnershipCheck, id="OWN106", level="standard"):
    """The files that govern the service have an owner.

    `constraints.toml`, `ownership.toml`, `evals/`, `signoffs/`, `waivers.toml` and `chassis/` are each in the `paths`
    of a role, so that CODEOWNERS names its team. Whether the forge requires that team's approval is a setting of the
    repository, which no file shows.
    """

    remedy = "Add each path to the paths of one role in ownership.toml"

    def check(self, repository: Repository) -> str:
        owned = {path for _, role in repository.ownership.roles for path in role.paths}
        missing = [path for path in GOVERNED_PATHS if path not in owned]
        return require(not missing, f"in no role's paths: {', '.join(missing)}", "every path has an owner")


class SignoffCheck(Check):
    """A check of one sign-off."""

    family = Family.SIGNOFFS
    file = OWNERSHIP_FILE
    kind: ClassVar[str]

    def __init_subclass__(cls, *, id: str, level: RiskTier) -> None:  # noqa: A002 - as in `Check`
        """Register the check, and say how to get its sign-off."""
        super().__init_subclass__(id=id, level=level)
        cls.remedy = f"Send the page of `uv run chassis signoffs request {cls.kind}`, then record the decision"

    @property
    def explanation(self) -> str:
        """Return the question that is signed for, and how long the answer is valid."""
        return (
            f"{SIGNOFF_KINDS[self.kind].question} The team of `roles.{SIGNOFF_KINDS[self.kind].role}` answers in "
            f"`signoffs/{self.kind}.toml`, if the constraints require this sign-off. It is valid until the date that "
            "it names, or until something changes that it covers."
        )

    def check(self, repository: Repository) -> str:
        signoff = repository.signoffs[self.kind]
        if signoff.state in BLOCKS_RELEASE:
            changed = ", ".join(sorted(signoff.added | signoff.removed))
            raise CheckFailed(f"{signoff.state}: {signoff.reason}" + (f" ({changed})" if changed else ""))
        return signoff.reason or "not required"


class SecuritySignoff(SignoffCheck, id="SGNSECURITY", level="standard"):
    """The security sign-off is valid."""

    kind = "security"


class PrivacySignoff(SignoffCheck, id="SGNPRIVACY", level="standard"):
    """The privacy sign-off is valid."""

    kind = "privacy"


class LegalSignoff(SignoffCheck, id="SGNLEGAL", level="standard"):
    """The legal sign-off is valid."""

    kind = "legal"


class ProcurementSignoff(SignoffCheck, id="SGNPROCUREMENT", level="standard"):
    """The procurement sign-off is valid."""

    kind = "procurement"


class RiskSignoff(SignoffCheck, id="SGNRISK", level="standard"):
    """The risk sign-off is valid."""

    kind = "risk"
