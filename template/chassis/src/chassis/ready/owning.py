"""Checks of who answers: owners, derived files, sign-offs."""

from chassis.derived.sync import drifts
from chassis.errors import ConfigError
from chassis.owners.ownership import FILE as OWNERS
from chassis.ready.check import Check
from chassis.ready.evidence import Evidence, Failed, Unknown
from chassis.ready.promises import need
from chassis.signoffs.standing import BLOCKS_RELEASE

GOVERNED = ("/constraints.toml", "/ownership.toml", "/evals/", "/signoffs/", "/waivers.toml", "/chassis/")


def reviewed(evidence: Evidence) -> str:
    """No role's `review_by` has come; teams change faster than files."""
    due = evidence.decisions.ownership.due_reviews(evidence.today)
    return need(not due, f"review_by has come: {', '.join(due)}", "no review is due")


def dated(evidence: Evidence) -> str:
    """Each role has a `review_by`, or nobody ever asks again whether the team is still there."""
    undated = [name for name, role in evidence.decisions.ownership.roles if role.review_by is None]
    return need(not undated, f"no review_by: {', '.join(undated)}", "every role has a review_by")


def bounded(evidence: Evidence) -> str:
    """Each `review_by` is at most a year ahead, in the tier `critical` half a year."""
    try:
        evidence.decisions.ownership.check_reviews(evidence.today, evidence.constraints.risk.tier)
    except ConfigError as error:
        raise Failed(str(error)) from None
    return "every review_by is near enough"


def deputies(evidence: Evidence) -> str:
    """Each role names a second team; leave and reorganisations come to the best."""
    alone = [name for name, role in evidence.decisions.ownership.roles if role.deputy is None]
    return need(not alone, f"no deputy: {', '.join(alone)}", "every role has a deputy")


def derived(evidence: Evidence) -> str:
    """CODEOWNERS, alert routes and all else that follows is what `chassis sync` would write."""
    try:
        found = drifts(evidence.decisions)
    except ConfigError as error:
        raise Unknown(str(error)) from None
    return need(not found, ", ".join(f"{drift.path} is {drift.problem}" for drift in found), "all are up to date")


def governed(evidence: Evidence) -> str:
    """Constraints, owners, evaluation, sign-offs, waivers and chassis each stand in some role's `paths`."""
    owned = {path for _, role in evidence.decisions.ownership.roles for path in role.paths}
    missing = [path for path in GOVERNED if path not in owned]
    return need(not missing, f"in no role's paths: {', '.join(missing)}", f"{len(GOVERNED)} paths have their owner")


def signed(kind: str) -> Check:
    """Return the check of one sign-off."""

    def look(evidence: Evidence) -> str:
        """It is not needed, or somebody gave it, it has not ended, and what it covers has not changed."""
        found = evidence.standings[kind]
        if found.state in BLOCKS_RELEASE:
            changed = ", ".join(sorted(found.added | found.gone))
            raise Failed(f"{found.state}: {found.because}" + (f" ({changed})" if changed else ""))
        return found.because or "not needed at present"

    remedy = f"`uv run chassis signoffs request {kind}`, then `record`"
    return Check(f"SGN{kind.upper()}", f"The {kind} sign-off stands", "standard", remedy, look)


CHECKS = (
    Check("OWN101", "No owner's review is due", "standard", "Confirm the teams, then move review_by", reviewed, OWNERS),
    Check("OWN102", "Every role has a date of review", "standard", "Add review_by", dated, OWNERS),
    Check("OWN103", "No review lies out of sight", "standard", "Write an earlier review_by", bounded, OWNERS),
    Check("OWN104", "Every role has a deputy", "critical", "Name a second team", deputies, OWNERS),
    Check("OWN105", "Derived files are up to date", "experiment", "`uv run chassis sync`", derived, OWNERS),
    Check(
        "OWN106",
        "What decides has an owner of its own",
        "standard",
        "Name the paths in ownership.toml",
        governed,
        OWNERS,
    ),
    *(signed(kind) for kind in ("security", "privacy", "legal", "procurement", "risk")),
)
