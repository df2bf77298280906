"""Look at one repository: read its files of decisions and compare its chassis with the release that it came from."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from chassis.config.constraints import CONSTRAINTS_FILE, load_constraints
from chassis.config.ownership import load_ownership
from chassis.config.project import find_project
from chassis.errors import ConfigError
from chassis_tools.governance.signoffs import BLOCKS_RELEASE, SignOff, load_signoffs, signoff_statuses
from chassis_tools.readiness.launch_review import CHECKS, run_checks
from chassis_tools.readiness.waivers import load_waivers
from chassis_tools.updates.copier import load_answers_file
from chassis_tools.updates.status import compare_with_template
from chassis_tools.updates.template_repository import TemplateRepository

from fleet.facts import Blocker, Budget, Drifted, Due, Facts, Lapsed, Readiness, Waiver

CEILING = "per_month_usd: "
"""How the fact begins that procurement signs for."""


@dataclass(slots=True)
class Looking:
    """A look at one repository: each part adds what it finds, or a sentence on why it found nothing."""

    root: Path
    template: TemplateRepository
    today: date
    facts: Facts
    troubles: list[str] = field(default_factory=list)

    def attempt(self, name: str, part: Callable[["Looking"], Facts]) -> None:
        """Look at one part; another part can be read even if this one cannot."""
        try:
            self.facts = part(self)
        except ConfigError as error:
            self.troubles.append(str(error))
        except Exception as error:  # noqa: BLE001 - whatever lies in a foreign folder, the others must still be shown
            self.troubles.append(f"The {name} could not be read: {type(error).__name__}: {error}")


def look(root: Path, template: TemplateRepository, today: date, trouble: str | None = None) -> Facts:
    """Return what is known of the repository at `root`.

    Args:
        root: Its folder; anything may lie there, or nothing.
        template: A clone of the template with all its releases.
        today: The day on which dates are judged.
        trouble: What was wrong before anybody could look.
    """
    looking = Looking(root, template, today, Facts(name=root.name, path=str(root)))
    if trouble:
        looking.troubles.append(trouble)
    elif not root.is_dir():
        looking.troubles.append("There is no such folder")
    elif not (root / ".git").exists():
        looking.troubles.append("This folder is no clone: it has no .git")
    elif not (root / ".copier-answers.yml").is_file():
        looking.troubles.append("It was not made from this template: it has no .copier-answers.yml")
    else:
        for name, part in PARTS.items():
            looking.attempt(name, part)
    return replace(looking.facts, troubles=tuple(looking.troubles))


def project(looking: Looking) -> Facts:
    """Return what the service is called, as its `pyproject.toml` has it."""
    found = find_project(looking.root)
    if found.root != looking.root.resolve():
        raise ConfigError("pyproject.toml", "there is none with [tool.chassis]", "Is it made from another template?")
    return replace(looking.facts, service=found.name)


def release(looking: Looking) -> Facts:
    """Return its release, how far that is behind, and what was done to the chassis."""
    record = load_answers_file(looking.root)
    looking.facts = replace(looking.facts, version=record.version)
    if looking.template.commit_of(record.version) is None:
        remedy = "Fetch its tags (git fetch --tags), or name the right clone with --template"
        where = f"The clone of the template at {looking.template.git_dir}"
        raise ConfigError(where, f"it has no release {record.version}, which .copier-answers.yml names", remedy)
    upstream = compare_with_template(looking.root, record, looking.template)
    drift = upstream.drift
    return replace(
        looking.facts,
        newest=upstream.newest,
        behind=upstream.commits_behind,
        drifted=Drifted(drift.edited, drift.missing, drift.added),
    )


def readiness(looking: Looking) -> Facts:
    """Return the level that it reaches, what stands in the way of the one that it needs, and its waivers."""
    found = run_checks(looking.root, looking.today)
    blockers = tuple(Blocker(each.check.id, each.check.title, each.evidence) for each in found.blocking)
    looking.facts = replace(looking.facts, readiness=Readiness(found.level, found.tier, blockers))
    waived = load_waivers(looking.root, {check.id for check in CHECKS})
    waivers = (Waiver(name, waiver.until, waiver.until <= looking.today) for name, waiver in waived.items())
    return replace(looking.facts, waivers=tuple(waivers))


def owners(looking: Looking) -> Facts:
    """Return whose date of review has passed."""
    ownership = load_ownership(looking.root)
    due = set(ownership.due_reviews(looking.today))
    lapsed = (Lapsed(name, role.accountable, role.review_by) for name, role in ownership.roles if name in due)
    return replace(looking.facts, lapsed=tuple(lapsed))


def signatures(looking: Looking) -> Facts:
    """Return what it may spend in a month, what procurement agreed to, and the sign-offs that block a release."""
    looking.facts = replace(looking.facts, budget=spending(looking.root))
    constraints = load_constraints(looking.root)
    given = load_signoffs(looking.root)
    statuses = signoff_statuses(constraints, given, looking.today).values()
    return replace(
        looking.facts,
        budget=Budget(constraints.cost.per_month_usd, approved(given.get("procurement"), looking.today)),
        due=tuple(Due(each.kind, str(each.state), each.reason) for each in statuses if each.state in BLOCKS_RELEASE),
    )


def spending(root: Path) -> Budget | None:
    """Return what `constraints.toml` allows for a month, which it also tells in the form of another release."""
    try:
        return Budget(
            float(tomllib.loads((root / CONSTRAINTS_FILE).read_text(encoding="utf-8"))["cost"]["per_month_usd"])
        )
    except (KeyError, OSError, TypeError, ValueError):
        return None


def approved(procurement: SignOff | None, today: date) -> float | None:
    """Return the dollars a month that procurement has signed for, if its word still holds."""
    if procurement is None or not procurement.decision.startswith("approved") or procurement.expires_on <= today:
        return None
    return next((float(fact.removeprefix(CEILING)) for fact in procurement.covers if fact.startswith(CEILING)), None)


PARTS = {"project": project, "release": release, "readiness": readiness, "owners": owners, "sign-offs": signatures}
"""What is looked at, in this order."""
