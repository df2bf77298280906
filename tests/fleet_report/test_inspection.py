"""The status of a repository follows from its files and the day."""

import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from fleet_inspection import TODAY, inspect
from template_releases import append_line

from benchmarks.clones import rewrite, sign_procurement
from fleet.inspection import inspect_source
from fleet.repositories import RepositorySource
from fleet.status import MonthlyBudget, ServiceStatus, UnconfirmedOwner, WaiverStatus
from fleet.template import RememberedTemplate

pytestmark = pytest.mark.slow


def test_unchanged_repository(service: Path, template: Path) -> None:
    """A repository of the release before the newest is out of date, and has no sign-off yet."""
    status = inspect(service, template)
    assert (status.service, status.version, status.newest_version, status.commits_behind) == (
        "acme-help",
        "1.0.0",
        "1.1.0",
        1,
    )
    assert status.drift is not None
    assert not status.drift
    assert status.budget is not None
    assert status.budget.per_month_usd == 300
    assert [(each.kind, each.state) for each in status.blocking_signoffs or ()] == [
        ("security", "missing"),
        ("procurement", "missing"),
    ]
    assert (status.errors, status.unconfirmed_owners) == ([], ())
    assert status.concerns == ("sign-off due", "not ready", "out of date")


def test_the_template_is_asked_once(service: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second repository of the same release needs no process for the template."""
    remembered = RememberedTemplate(template / ".git")
    first = inspect_source(RepositorySource(service), remembered, TODAY)
    monkeypatch.delattr("chassis_tools.updates.template_repository.git")

    assert inspect_source(RepositorySource(service), RememberedTemplate(template / ".git"), TODAY) == first
    assert first[0].drift is not None


def test_drift(clone: Path, template: Path) -> None:
    """Edited, deleted and added chassis files are listed apart; the team's own files are no drift."""
    append_line(clone / "chassis/tasks.mk", "ours:")
    (clone / "chassis/ruff.toml").unlink()
    (clone / "chassis/own.py").write_text("", encoding="utf-8")
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    append_line(clone / "README.md", "Ours.")
    drift = inspect(clone, template).drift
    assert drift is not None
    assert (drift.edited, drift.missing, drift.added) == (
        ("chassis/tasks.mk",),
        ("chassis/ruff.toml",),
        ("chassis/own.py",),
    )


def test_unconfirmed_owners(clone: Path, template: Path) -> None:
    """A role counts from its `review_by` day on."""
    file = clone / "ownership.toml"
    text = file.read_text(encoding="utf-8")
    first, _, rest = text.partition("review_by = 2027-05-01")
    file.write_text(f"{first}review_by = 2026-12-01{rest}", encoding="utf-8")
    assert inspect(clone, template).unconfirmed_owners == (UnconfirmedOwner("system", "ai", TODAY),)
    assert inspect(clone, template, date(2026, 11, 30)).unconfirmed_owners == ()


def test_budget_above_approval(clone: Path, template: Path) -> None:
    """A budget raised after the sign-off is compared with the approved one, until the sign-off expires."""
    sign_procurement(clone, TODAY)
    assert inspect(clone, template).budget == MonthlyBudget(300, 300)
    assert [each.kind for each in inspect(clone, template).blocking_signoffs or ()] == ["security"]

    rewrite(clone / "constraints.toml", "per_month_usd = .*", "per_month_usd = 900.00")
    raised = inspect(clone, template)
    assert raised.budget == MonthlyBudget(900, 300)
    assert "over budget" in raised.concerns
    assert ("procurement", "stale") in [(each.kind, each.state) for each in raised.blocking_signoffs or ()]

    assert inspect(clone, template, TODAY + timedelta(400)).budget == MonthlyBudget(900, None)


WAIVER = """\
[waive.SGNSECURITY]
reason = "The review is booked for December"
author = "Ada Lovelace"
approver = "Grace Hopper"
from = 2026-11-15
until = 2026-12-15
"""


def test_readiness(clone: Path, template: Path) -> None:
    """The failing checks are those of `chassis ready`, and a waiver removes one until it expires."""

    def failing(status: ServiceStatus) -> set[str]:
        assert status.readiness is not None
        assert status.readiness.required_level == "standard"
        return {check.check for check in status.readiness.failing_checks}

    assert "SGNSECURITY" in failing(inspect(clone, template))
    (clone / "waivers.toml").write_text(WAIVER, encoding="utf-8")
    waived = inspect(clone, template)
    assert waived.waivers == (WaiverStatus("SGNSECURITY", date(2026, 12, 15), expired=False),)
    assert "SGNSECURITY" not in failing(waived)

    later = inspect(clone, template, date(2026, 12, 15))
    assert "SGNSECURITY" in failing(later)
    assert "waiver expired" in later.concerns
