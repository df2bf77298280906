"""Every alert fires in its incident and only then, and has an owner. Its runbook is checked in test_handbook.py."""

import shutil
from pathlib import Path

import pytest
from alert_stories import ALL_REQUESTS_FAIL, ERROR, HEALTHY, INCIDENTS, OK, constant, per_minute, series
from chassis.config.ownership import Roles
from chassis.config.project import find_project
from chassis_tools.governance.derived_files import write_derived_files
from chassis_tools.governance.file_contents import load_decisions
from generated_project import generate_into
from prometheus_rules import Rules

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here"),
]


@pytest.fixture(scope="module")
def synced(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with its derived files."""
    project = generate_into(tmp_path_factory.mktemp("synced") / "acme-help", template, {})
    write_derived_files(load_decisions(find_project(project)))
    return project


@pytest.fixture
def rules(synced: Path, tmp_path: Path) -> Rules:
    """Return the rules of that project."""
    return Rules.copy_of(synced, tmp_path)


def test_a_healthy_service_fires_no_alert(rules: Rules) -> None:
    """The objectives allow a few errors, slow calls and fallbacks."""
    assert rules.fires_exactly(set(), HEALTHY)


@pytest.mark.parametrize("incident", INCIDENTS)
def test_an_incident_fires_its_alerts(rules: Rules, incident: str) -> None:
    """Each incident fires its own alerts and no others."""
    change, expected = INCIDENTS[incident]
    assert rules.fires_exactly(expected, HEALTHY | change)


def test_a_service_that_is_not_scraped_is_down(rules: Rules) -> None:
    """Without any metrics `ServiceDown` fires."""
    assert rules.fires_exactly({"ServiceDown"}, {})


def test_the_forecast_alert_waits(rules: Rules) -> None:
    """It waits for six hours, longer than the simulation; with a shorter wait it fires."""
    expensive = HEALTHY | {series("chassis_budget_forecast"): constant(301)}
    assert rules.fires_exactly(set(), expensive)
    rules.replace("alerts.yaml", "for: 6h", "for: 1h")
    assert rules.fires_exactly({"BudgetForecastExceeded"}, expensive)


def test_few_requests_fire_no_page(rules: Rules) -> None:
    """Even if all fail, fewer than ten requests within an hour fire a ticket, not a page."""
    assert rules.fires_exactly({"AvailabilityBurnsSlowly"}, HEALTHY | {OK: per_minute(0), ERROR: per_minute(0.1)})


@pytest.mark.parametrize("objective", ["0.8", "0.5", "0.05", "0.99999"])
def test_total_failure_fires_at_any_objective(rules: Rules, objective: str) -> None:
    """Thanks to the cap, even where 14.4 times the allowed error rate exceeds 100 %."""
    rules.replace("objectives.yaml", "vector(0.99)", f"vector({objective})")
    assert rules.fires_exactly({"AvailabilityBurnsFast", "AvailabilityBurnsSlowly"}, HEALTHY | ALL_REQUESTS_FAIL)


def test_without_the_cap_total_failure_fires_no_page(rules: Rules) -> None:
    """This shows that the previous test depends on the cap."""
    rules.replace("objectives.yaml", "vector(0.99)", "vector(0.8)")
    rules.replace("alerts.yaml", ", 0.5)", ", 1e9)")
    assert rules.fires_exactly({"AvailabilityBurnsSlowly"}, HEALTHY | ALL_REQUESTS_FAIL)


@pytest.mark.parametrize(
    ("old", "new", "incident"),
    [
        ("14.4 * (1", "1.44 * (1", "slightly too many requests fail"),
        ('=~"5.."', '=~"6.."', "every request fails"),
        ("chassis_calls_slow_total", "chassis_calls_long_total", "every call is slow"),
        ("chassis_calls_degraded_total", "chassis_calls_worse_total", "every call needs a fallback"),
        ("min by (job) (chassis_database_up)", "max by (job) (chassis_database_up)", "one replica has no database"),
    ],
)
def test_a_broken_rule_is_detected(rules: Rules, old: str, new: str, incident: str) -> None:
    """A wrong number, status, metric or aggregation makes the test of its incident fail."""
    change, expected = INCIDENTS[incident]
    rules.replace("alerts.yaml", old, new)
    assert not rules.fires_exactly(expected, HEALTHY | change)


def test_each_alert_has_an_incident(rules: Rules) -> None:
    """An alert that never fires makes the test of its incident fail."""
    incident_of = {alert: incident for incident, (_, expected) in INCIDENTS.items() for alert in expected}
    names = {alert["alert"] for alert in rules.alerts}
    assert names - set(incident_of) == {"BudgetForecastExceeded"}
    for alert, incident in incident_of.items():
        change, expected = INCIDENTS[incident]
        rules.set_expression(alert, "vector(0) > 1")
        assert not rules.fires_exactly(expected, HEALTHY | change), alert


def test_each_alert_has_an_owner_and_a_severity(rules: Rules) -> None:
    """Its role is one of ownership.toml, its severity is `page` or `ticket`."""
    for alert in rules.alerts:
        assert alert["labels"]["role"] in Roles.model_fields, alert
        assert alert["labels"]["severity"] in {"page", "ticket"}, alert
