"""An alert reaches the team that answers for it, and one edit of `ownership.toml` is enough when teams change."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from answer_sets import ROOT
from generated_project import Generate
from team_fixtures import one_team_a_role, sync

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed here"),
]

GROUPS = yaml.safe_load((ROOT / "template/ops/alerts.yaml").read_text(encoding="utf-8"))["groups"]
ALERTS = {rule["alert"]: rule["labels"] for group in GROUPS for rule in group["rules"] if "alert" in rule}


@pytest.fixture
def project(generate: Generate) -> Path:
    """Return a project in which every role has a team of its own."""
    return one_team_a_role(generate())


def receiver(project: Path, **labels: str) -> str:
    """Return whom Alertmanager would tell."""
    command = ["amtool", "config", "routes", "test", f"--config.file={project / 'ops/alertmanager.yaml'}"]
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return subprocess.run([*command, *pairs], check=True, capture_output=True, text=True).stdout.strip()


def test_alertmanager_accepts_it(project: Path) -> None:
    """Its own checker reads the file, and a mistake in it would be told."""
    file = project / "ops/alertmanager.yaml"
    command = ["amtool", "check-config", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text(encoding="utf-8").replace('name: "cost"', 'name: "costs"'), encoding="utf-8")
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_reaches_the_accountable_team(project: Path, alert: str) -> None:
    """The label `role` of the rule is all that decides."""
    labels = ALERTS[alert] | {"alertname": alert, "job": "acme-help"}
    assert receiver(project, **labels) == labels["role"].replace("_", "-")


def test_what_nobody_expected_reaches_the_system_owner(project: Path) -> None:
    """An alert without a role, or from elsewhere, is not lost."""
    assert receiver(project, alertname="Strange", job="acme-help") == "system"
    assert receiver(project, alertname="Strange", job="other", role="cost") == "system"


def test_one_edit_moves_a_team(project: Path) -> None:
    """The cost team is renamed: routes, receivers, mail and owners of code follow, and no rule has to change."""
    ownership = project / "ownership.toml"
    text = ownership.read_text(encoding="utf-8").replace('"cost"', '"finops"').replace("[teams.cost]", "[teams.finops]")
    ownership.write_text(text.replace("@acme/cost", "@acme/finops").replace("cost@acme", "finops@acme"))

    assert sync(project) == [".github/CODEOWNERS", "ops/alertmanager.yaml"]

    assert receiver(project, **ALERTS["BudgetUsedUp"], job="acme-help") == "finops"
    assert "finops@acme.example" in (project / "ops/alertmanager.yaml").read_text(encoding="utf-8")
    owners = (project / ".github/CODEOWNERS").read_text(encoding="utf-8")
    assert "/constraints.toml @acme/finops" in owners
    assert "@acme/cost" not in owners


def test_a_role_can_change_hands(project: Path) -> None:
    """One line names another team, and that team is called."""
    ownership = project / "ownership.toml"
    text = ownership.read_text(encoding="utf-8")
    ownership.write_text(text.replace('[roles.cost]\naccountable = "cost"', '[roles.cost]\naccountable = "vendor"'))
    sync(project)
    assert receiver(project, **ALERTS["BudgetUsedUp"], job="acme-help") == "vendor"


@pytest.mark.parametrize("cause", ["ServiceDown", "DatabaseDown", "KillSwitchOn"])
def test_a_cause_silences_only_alerts_that_there_are(project: Path, cause: str) -> None:
    """What is held back because its cause is known exists, and is not the cause itself."""
    rules = yaml.safe_load((project / "ops/alertmanager.yaml").read_text(encoding="utf-8"))["inhibit_rules"]
    [rule] = [rule for rule in rules if rule["source_matchers"] == [f'alertname="{cause}"']]
    effects = re.compile(rule["target_matchers"][0].partition("=~")[2].strip('"'))
    silenced = {alert for alert in ALERTS if effects.fullmatch(alert)}
    assert cause in ALERTS
    assert silenced
    assert cause not in silenced
