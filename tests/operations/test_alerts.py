"""Every alert fires when it must and only then, and leads to a page that helps."""

import re
import shutil
from pathlib import Path

import pytest
from alert_stories import ALL_FAIL, ERROR, NORMAL, OK, WORST, always, each_minute, series
from answer_sets import ROOT
from chassis.cli.main import app
from chassis.config.ownership import Roles
from chassis.config.project import find_project
from chassis_tools.governance.decisions import load_decisions
from chassis_tools.governance.derived_files import write_derived_files
from generated_project import generate_into
from prometheus_rules import Rules
from typer.testing import CliRunner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here"),
]

RUNBOOKS = sorted((ROOT / "template/chassis/docs/runbooks").glob("*.md"))
SECTIONS = ["## What it means", "## How to see it", "## How to stop the harm", "## Who decides"]


@pytest.fixture(scope="module")
def synced(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with its derived files."""
    project = generate_into(tmp_path_factory.mktemp("synced") / "acme-help", template, {})
    write_derived_files(load_decisions(find_project(project)))
    return project


@pytest.fixture
def rules(synced: Path, tmp_path: Path) -> Rules:
    """Return the rules of that project."""
    return Rules.of(synced, tmp_path)


def test_normal_traffic_calls_nobody(rules: Rules) -> None:
    """A few errors, a few late calls and a few fallbacks are what the objectives allow."""
    assert rules.fire(NORMAL, set())


@pytest.mark.parametrize("story", WORST)
def test_the_worst_fires(rules: Rules, story: str) -> None:
    """Each disaster calls exactly those whom it concerns."""
    change, expected = WORST[story]
    assert rules.fire(NORMAL | change, expected)


def test_silence_is_no_good_news(rules: Rules) -> None:
    """A service that nobody scrapes is down, as far as anybody can know."""
    assert rules.fire({}, {"ServiceDown"})


def test_a_forecast_has_to_last(rules: Rules) -> None:
    """The forecast waits for six hours, longer than these stories; without the wait it fires."""
    dear = NORMAL | {series("chassis_budget_forecast"): always(301)}
    assert rules.fire(dear, set())
    rules.rewrite("alerts.yaml", "for: 6h", "for: 1h")
    assert rules.fire(dear, {"BudgetForecastExceeded"})


def test_a_few_requests_at_night_wake_nobody(rules: Rules) -> None:
    """Below ten requests an hour all may fail, and it is a ticket for the morning."""
    assert rules.fire(NORMAL | {OK: each_minute(0), ERROR: each_minute(0.1)}, {"AvailabilityBurnsSlowly"})


@pytest.mark.parametrize("objective", ["0.8", "0.5", "0.05", "0.99999"])
def test_total_failure_fires_at_any_objective(rules: Rules, objective: str) -> None:
    """Also where 14.4 times the allowance is more than there can be; without the cap it would be silent."""
    rules.rewrite("objectives.yaml", "vector(0.99)", f"vector({objective})")
    assert rules.fire(
        NORMAL | ALL_FAIL | {ERROR: each_minute(60)}, {"AvailabilityBurnsFast", "AvailabilityBurnsSlowly"}
    )


def test_without_the_cap_it_would_not(rules: Rules) -> None:
    """The cap is what makes the test above pass."""
    rules.rewrite("objectives.yaml", "vector(0.99)", "vector(0.8)")
    rules.rewrite("alerts.yaml", ", 0.5)", ", 1e9)")
    assert rules.fire(NORMAL | ALL_FAIL, {"AvailabilityBurnsSlowly"})


@pytest.mark.parametrize(
    ("good", "bad", "story"),
    [
        ("14.4 * (1", "1.44 * (1", "more fail than may"),
        ('=~"5.."', '=~"6.."', "every request fails"),
        ("chassis_calls_slow_total", "chassis_calls_slow_total", "every call is late"),
        ("chassis_calls_degraded_total", "chassis_calls_worse_total", "the first model is dead"),
        ("min by (job) (chassis_database_up)", "max by (job) (chassis_database_up)", "one database is gone"),
    ],
)
def test_a_broken_rule_is_found(rules: Rules, good: str, bad: str, story: str) -> None:
    """A wrong figure, status, name or aggregation turns its story red."""
    change, expected = WORST[story]
    rules.rewrite("alerts.yaml", good, bad)
    assert not rules.fire(NORMAL | change, expected)


def test_each_alert_is_met_and_missed(rules: Rules) -> None:
    """An alert that never fires, or always does, turns a story red: so none is without one."""
    fired = {alert: story for story, (_, expected) in WORST.items() for alert in expected}
    names = {alert["alert"] for alert in rules.alerts}
    assert names - set(fired) == {"BudgetForecastExceeded"}
    for alert, story in fired.items():
        change, expected = WORST[story]
        rules.redefine(alert, "vector(0) > 1")
        assert not rules.fire(NORMAL | change, expected), alert


def test_each_alert_has_an_owner_and_a_page(rules: Rules, synced: Path) -> None:
    """Its role is one of ownership.toml, its urgency one of two, and its runbook is there; no page is without alert."""
    for alert in rules.alerts:
        assert alert["labels"]["role"] in Roles.model_fields, alert
        assert alert["labels"]["severity"] in {"page", "ticket"}, alert
        assert (synced / alert["annotations"]["runbook"]).is_file(), alert
    assert {synced / alert["annotations"]["runbook"] for alert in rules.alerts} == {
        synced / "chassis/docs/runbooks" / page.name for page in RUNBOOKS
    }


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_can_be_followed(page: Path) -> None:
    """It says four things, its commands are commands of ours, and its links lead somewhere."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## .+$", text, re.MULTILINE) == SECTIONS
    for words in re.findall(r"`chassis ([a-z]+(?: [a-z]+)*)", text):
        assert CliRunner().invoke(app, [*words.split(), "--help"]).exit_code == 0, words
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / link).is_file(), link
