"""What is known of a repository is what its files say on that day."""

import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from fleet_view import TODAY, seen
from template_releases import append

from benchmarks.clones import rewrite, sign_procurement
from fleet.facts import Budget, Facts, Lapsed, Waiver

pytestmark = pytest.mark.slow


def test_in_order(service: Path, template: Path) -> None:
    """An untouched repository of the newest release but one is behind, and nobody has signed for it yet."""
    facts = seen(service, template)
    assert (facts.service, facts.version, facts.newest, facts.behind) == ("acme-help", "1.0.0", "1.1.0", 1)
    assert facts.drifted is not None
    assert not facts.drifted
    assert facts.budget is not None
    assert facts.budget.per_month_usd == 300
    assert [(each.kind, each.state) for each in facts.due or ()] == [
        ("security", "missing"),
        ("procurement", "missing"),
    ]
    assert (facts.troubles, facts.lapsed, facts.concerns) == ((), (), ("sign-off due", "not ready", "behind"))


def test_drift(clone: Path, template: Path) -> None:
    """Edited, deleted and added files of the chassis are told apart; files of the team's own are no drift."""
    append(clone / "chassis/tasks.mk", "ours:")
    (clone / "chassis/ruff.toml").unlink()
    (clone / "chassis/own.py").write_text("", encoding="utf-8")
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    append(clone / "README.md", "Ours.")
    drifted = seen(clone, template).drifted
    assert drifted is not None
    assert (drifted.edited, drifted.missing, drifted.added) == (
        ("chassis/tasks.mk",),
        ("chassis/ruff.toml",),
        ("chassis/own.py",),
    )


def test_lapsed_owners(clone: Path, template: Path) -> None:
    """A role counts from the day on which it should have been asked again."""
    file = clone / "ownership.toml"
    text = file.read_text(encoding="utf-8")
    first, _, rest = text.partition("review_by = 2027-05-01")
    file.write_text(f"{first}review_by = 2026-12-01{rest}", encoding="utf-8")
    assert seen(clone, template).lapsed == (Lapsed("system", "ai", TODAY),)
    assert seen(clone, template, date(2026, 11, 30)).lapsed == ()


def test_more_than_procurement_signed_for(clone: Path, template: Path) -> None:
    """A budget that was raised afterwards stands beside what was agreed to, for as long as that holds."""
    sign_procurement(clone, TODAY)
    assert seen(clone, template).budget == Budget(300, 300)
    assert [each.kind for each in seen(clone, template).due or ()] == ["security"]

    rewrite(clone / "constraints.toml", "per_month_usd = .*", "per_month_usd = 900.00")
    raised = seen(clone, template)
    assert raised.budget == Budget(900, 300)
    assert "over budget" in raised.concerns
    assert ("procurement", "stale") in [(each.kind, each.state) for each in raised.due or ()]

    assert seen(clone, template, TODAY + timedelta(400)).budget == Budget(900, None)


WAIVER = """\
[waive.SGNSECURITY]
reason = "The review is booked for December"
author = "Ada Lovelace"
approver = "Grace Hopper"
from = 2026-11-15
until = 2026-12-15
"""


def test_readiness(clone: Path, template: Path) -> None:
    """What `chassis ready` would say is told with its blockers, and a waiver takes one away until it ends."""

    def blockers(facts: Facts) -> set[str]:
        assert facts.readiness is not None
        assert facts.readiness.needs == "standard"
        return {blocker.check for blocker in facts.readiness.blockers}

    assert "SGNSECURITY" in blockers(seen(clone, template))
    (clone / "waivers.toml").write_text(WAIVER, encoding="utf-8")
    waived = seen(clone, template)
    assert waived.waivers == (Waiver("SGNSECURITY", date(2026, 12, 15), expired=False),)
    assert "SGNSECURITY" not in blockers(waived)

    later = seen(clone, template, date(2026, 12, 15))
    assert "SGNSECURITY" in blockers(later)
    assert "waiver expired" in later.concerns
