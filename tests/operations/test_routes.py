"""Each alert is routed to the accountable team, and when teams change, one edit of `ownership.toml` is enough."""

import json
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
    """Return the receiver to which Alertmanager routes an alert."""
    command = ["amtool", "config", "routes", "test", f"--config.file={project / 'ops/alertmanager.yaml'}"]
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return subprocess.run([*command, *pairs], check=True, capture_output=True, text=True).stdout.strip()


def test_alertmanager_accepts_it(project: Path) -> None:
    """`amtool` accepts the file, and would report a mistake in it."""
    file = project / "ops/alertmanager.yaml"
    command = ["amtool", "check-config", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text(encoding="utf-8").replace('name: "cost"', 'name: "costs"'), encoding="utf-8")
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_reaches_the_accountable_team(project: Path, alert: str) -> None:
    """The label `role` of the rule decides."""
    labels = ALERTS[alert] | {"alertname": alert, "job": "acme-help"}
    assert receiver(project, **labels) == labels["role"].replace("_", "-")


CHANNELS = {
    "email": ("email_configs", {"to": "cost@acme.example", "send_resolved": True}),
    "slack": ("slack_configs", {"api_url_file": "/run/secrets/cost-slack-url", "send_resolved": True}),
    "webhook": ("webhook_configs", {"url_file": "/run/secrets/cost-webhook-url"}),
    "pagerduty": (
        "pagerduty_configs",
        {
            "routing_key_file": "/run/secrets/cost-pagerduty-key",
            "severity": '{{ if eq .CommonLabels.severity "page" }}critical{{ else }}warning{{ end }}',
        },
    ),
}


@pytest.mark.parametrize("channels", [[name] for name in CHANNELS] + [list(CHANNELS), ["slack", "pagerduty"]])
def test_a_team_is_reached_as_it_says(project: Path, channels: list[str]) -> None:
    """Alertmanager accepts the receivers that follow from `alerts`, and only that team's receiver changes."""
    ownership = project / "ownership.toml"
    text = ownership.read_text(encoding="utf-8")
    ownership.write_text(text.replace("[teams.cost]\n", f"[teams.cost]\nalerts = {json.dumps(channels)}\n"))
    sync(project)

    file = project / "ops/alertmanager.yaml"
    # Debian's amtool is older than the Alertmanager of compose.yaml, and knows no `url_file`.
    known = re.sub(r"url_file: /run/secrets/\S+-webhook-url", "url: http://webhook.example", file.read_text())
    (project / "known.yaml").write_text(known)
    subprocess.run(["amtool", "check-config", str(project / "known.yaml")], check=True, capture_output=True)
    receivers = {each.pop("name"): each for each in yaml.safe_load(file.read_text(encoding="utf-8"))["receivers"]}
    assert receivers["cost"] == {CHANNELS[name][0]: [CHANNELS[name][1]] for name in channels}
    assert receivers["legal"].keys() == {"email_configs"}


def test_other_alerts_reach_the_system_owner(project: Path) -> None:
    """An alert without a role, or of another job, is not lost."""
    assert receiver(project, alertname="Strange", job="acme-help") == "system"
    assert receiver(project, alertname="Strange", job="other", role="cost") == "system"


def test_renaming_a_team(project: Path) -> None:
    """Routes, receivers, email and code owners follow, and no rule has to change."""
    ownership = project / "ownership.toml"
    text = ownership.read_text(encoding="utf-8").replace('"cost"', '"finops"').replace("[teams.cost]", "[teams.finops]")
    ownership.write_text(text.replace("@acme/cost", "@acme/finops").replace("cost@acme", "finops@acme"))

    assert sync(project) == [".github/CODEOWNERS", "ops/alertmanager.yaml"]

    assert receiver(project, **ALERTS["BudgetUsedUp"], job="acme-help") == "finops"
    assert "finops@acme.example" in (project / "ops/alertmanager.yaml").read_text(encoding="utf-8")
    owners = (project / ".github/CODEOWNERS").read_text(encoding="utf-8")
    assert "/constraints.toml @acme/finops" in owners
    assert "@acme/cost" not in owners


def test_giving_a_role_to_another_team(project: Path) -> None:
    """After one changed line, alerts of the role reach the other team."""
    ownership = project / "ownership.toml"
    text = ownership.read_text(encoding="utf-8")
    ownership.write_text(text.replace('[roles.cost]\naccountable = "cost"', '[roles.cost]\naccountable = "vendor"'))
    sync(project)
    assert receiver(project, **ALERTS["BudgetUsedUp"], job="acme-help") == "vendor"


@pytest.mark.parametrize("cause", ["ServiceDown", "DatabaseDown", "KillSwitchOn"])
def test_inhibited_alerts_exist(project: Path, cause: str) -> None:
    """Every inhibit rule matches alerts that exist, and never its own cause."""
    rules = yaml.safe_load((project / "ops/alertmanager.yaml").read_text(encoding="utf-8"))["inhibit_rules"]
    [rule] = [rule for rule in rules if rule["source_matchers"] == [f'alertname="{cause}"']]
    effects = re.compile(rule["target_matchers"][0].partition("=~")[2].strip('"'))
    inhibited = {alert for alert in ALERTS if effects.fullmatch(alert)}
    assert cause in ALERTS
    assert inhibited
    assert cause not in inhibited
