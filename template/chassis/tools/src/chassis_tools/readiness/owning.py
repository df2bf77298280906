"""Checks of who answers: owners, derived files, sign-offs."""

from chassis.config.ownership import FILE as OWNERS
from chassis.errors import ConfigError
from chassis_tools.governance.signoff_kinds import KINDS
from chassis_tools.governance.signoff_status import BLOCKS_RELEASE
from chassis_tools.governance.sync import drifts
from chassis_tools.readiness.check import Check
from chassis_tools.readiness.evidence import Evidence, Failed, Unknown
from chassis_tools.readiness.promises import need

GOVERNED = ("/constraints.toml", "/ownership.toml", "/evals/", "/signoffs/", "/waivers.toml", "/chassis/")


def reviewed(evidence: Evidence) -> str:
    """Every `review_by` in `ownership.toml` lies ahead.

    When it has come, somebody confirms that the team still answers for the role, and moves the date.
    """
    due = evidence.decisions.ownership.due_reviews(evidence.today)
    return need(not due, f"review_by has come: {', '.join(due)}", "no review is due")


def dated(evidence: Evidence) -> str:
    """Every role in `ownership.toml` has a `review_by`. Without one, nobody notices that the owner has left."""
    undated = [name for name, role in evidence.decisions.ownership.roles if role.review_by is None]
    return need(not undated, f"no review_by: {', '.join(undated)}", "every role has a review_by")


def bounded(evidence: Evidence) -> str:
    """No `review_by` lies further ahead than `risk.tier` allows. A date years away asks nobody."""
    try:
        evidence.decisions.ownership.check_reviews(evidence.today, evidence.constraints.risk.tier)
    except ConfigError as error:
        raise Failed(str(error)) from None
    return "every review_by is near enough"


def deputies(evidence: Evidence) -> str:
    """Every role in `ownership.toml` has a `deputy`.

    That team is asked and alerted while the accountable one cannot be.
    """
    alone = [name for name, role in evidence.decisions.ownership.roles if role.deputy is None]
    return need(not alone, f"no deputy: {', '.join(alone)}", "every role has a deputy")


def derived(evidence: Evidence) -> str:
    """CODEOWNERS, the catalog entry, security contacts and the files for monitoring say what your decisions say.

    They are written from `constraints.toml`, `ownership.toml` and `pyproject.toml`.
    """
    try:
        found = drifts(evidence.decisions)
    except ConfigError as error:
        raise Unknown(str(error)) from None
    return need(not found, ", ".join(f"{drift.path} is {drift.problem}" for drift in found), "all are up to date")


def governed(evidence: Evidence) -> str:
    """Constraints, owners, `evals/`, `signoffs/`, `waivers.toml` and `chassis/` each stand in a role's `paths`.

    The forge then asks that role's team about every change to them.
    """
    owned = {path for _, role in evidence.decisions.ownership.roles for path in role.paths}
    missing = [path for path in GOVERNED if path not in owned]
    return need(not missing, f"in no role's paths: {', '.join(missing)}", f"{len(GOVERNED)} paths have their owner")


def signed(kind: str) -> Check:
    """Return the check of one sign-off."""

    def look(evidence: Evidence) -> str:
        found = evidence.standings[kind]
        if found.state in BLOCKS_RELEASE:
            changed = ", ".join(sorted(found.added | found.gone))
            raise Failed(f"{found.state}: {found.because}" + (f" ({changed})" if changed else ""))
        return found.because or "not needed at present"

    look.__doc__ = (
        f"{KINDS[kind].question} The team of `roles.{KINDS[kind].role}` answers that in `signoffs/{kind}.toml`, if it "
        "is asked at all. Its answer ends on a day, and at once when something changes that it was given for."
    )
    remedy = f"Send the page of `uv run chassis signoffs request {kind}`, then write the answer down with `record`"
    return Check(f"SGN{kind.upper()}", f"The {kind} sign-off stands", "standard", remedy, look)


CHECKS = (
    Check("OWN101", "No owner's review is due", "standard", "Confirm the teams, then move review_by", reviewed, OWNERS),
    Check("OWN102", "Every role has a date of review", "standard", "Add review_by to the role", dated, OWNERS),
    Check("OWN103", "No review lies years ahead", "standard", "Write an earlier review_by", bounded, OWNERS),
    Check("OWN104", "Every role has a deputy", "critical", "Name a second team as deputy", deputies, OWNERS),
    Check("OWN105", "Derived files are up to date", "experiment", "Run `uv run chassis sync`", derived, OWNERS),
    Check(
        "OWN106",
        "What decides has an owner of its own",
        "standard",
        "Add each path to the paths of one role in ownership.toml",
        governed,
        OWNERS,
    ),
    *(signed(kind) for kind in ("security", "privacy", "legal", "procurement", "risk")),
)
