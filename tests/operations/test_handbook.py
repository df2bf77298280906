"""The handbook can be followed: its links, commands and panels exist, and each alert leads to its runbook."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import ROOT
from chassis.cli.main import app
from typer.testing import CliRunner

TEMPLATE = ROOT / "template"
HANDBOOK = TEMPLATE / "chassis/handbook"
PAGES = sorted(HANDBOOK.glob("*.md"))
MAX_PAGES = 17
RUNBOOKS = HANDBOOK / "runbooks.md"
SUBSECTIONS = ["What it means", "Diagnosis", "Mitigation", "Escalation"]
NOT_IN_THE_TEMPLATE = {"chassis/.uv", "ops/alertmanager.yaml", "ops/objectives.yaml", "ops/targets.yaml"}
PATH = re.compile(r"`((?:chassis|ops)/(?!may-)[^` *]+)`")
"""Paths of the repository, but not the labels of namespaces."""
LINK = re.compile(r"\]\((?!https:)([^)]+)\)")


def anchors(page: Path) -> dict[str, str]:
    """Return the anchors of a page as a forge makes them from its headings, each with the heading."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): heading for heading in headings}


def alerts() -> list[dict[str, Any]]:
    """Return every alert of `ops/alerts.yaml`."""
    rules = yaml.safe_load((TEMPLATE / "ops/alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]


def runbooks() -> dict[str, str]:
    """Return the text of each runbook by its heading."""
    _, *parts = re.split(r"^## (.+)\n", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_handbook_is_small() -> None:
    """A generated repository has few files to spare, and the index names every page."""
    index = set(LINK.findall((HANDBOOK / "README.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES} - {"README.md"} == index
    assert len(PAGES) <= MAX_PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_refers_to_exists(page: Path) -> None:
    """A link leads to a page and a heading of it, a path into the chassis to a file; a command is one of `chassis`."""
    text = page.read_text(encoding="utf-8")
    for path in PATH.findall(text):
        assert path in NOT_IN_THE_TEMPLATE or any((TEMPLATE / f"{path}{suffix}").exists() for suffix in ("", ".jinja"))
    for link in LINK.findall(text):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link
    for words in set(re.findall(r"`(?:uv run )?chassis ([a-z]+(?:[ -][a-z]+)*)", text)):
        assert CliRunner().invoke(app, [*words.split(), "--help"]).exit_code == 0, words


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_links_to_its_runbook(alert: dict[str, Any]) -> None:
    """The section exists and names the alert with its urgency."""
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert TEMPLATE / page == RUNBOOKS
    assert f"`{alert['alert']}` ({alert['labels']['severity']})" in runbooks()[anchors(RUNBOOKS)[anchor]]


@pytest.mark.parametrize("runbook", runbooks())
def test_a_runbook_has_all_parts(runbook: str) -> None:
    """It belongs to an alert, says what to do in four parts, and names panels that the dashboard has."""
    text = runbooks()[runbook]
    names = {alert["alert"] for alert in alerts()}
    assert set(re.findall(r"`(\w+)` \((?:page|ticket)\)", text)) & names
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == SUBSECTIONS
    dashboard = json.loads((TEMPLATE / "ops/dashboard.json").read_text(encoding="utf-8"))
    panels = {panel["title"] for panel in dashboard["panels"]} | {"Status, Targets"}
    assert set(re.findall(r"(?<![*\w])\*([^*\n]+)\*(?!\*)", text)) <= panels
