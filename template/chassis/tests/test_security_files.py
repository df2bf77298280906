"""Whom to tell of a weakness: what stands in the two files about it, when they change, and when they give way."""

import re
from pathlib import Path

import pytest
import yaml
from chassis_tools.governance.decisions import load_decisions
from chassis_tools.governance.security import policy
from chassis_tools.governance.sync import drifts
from cli_runner import run
from ownership_file import OWNERSHIP, write

from chassis.clock import now
from chassis.config.project import find_project

POLICY, INSIGHTS = "SECURITY.md", "security-insights.yml"
SECURITY = '[teams.guards]\nhandle = "@acme/guards"\nemail = "guards@acme.example"\n[teams.platform]'
ADDRESS = "https://github.com/acme/sample"


@pytest.fixture
def guarded(project: Path) -> Path:
    """Return the sample, whose security has a team of its own, and whose address is known."""
    guarded = OWNERSHIP.replace("[teams.platform]", SECURITY)
    write(project, guarded.replace('[roles.security]\naccountable = "ai"', '[roles.security]\naccountable = "guards"'))
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("[tool", f'[project.urls]\nRepository = "{ADDRESS}"\n[tool'))
    return project


def stale(project: Path) -> list[str]:
    """Return the derived files that are not what they should be."""
    return [drift.path for drift in drifts(load_decisions(find_project(project)))]


def replace(file: Path, pattern: str, instead: str) -> None:
    """Replace what a file says; it does."""
    text, count = re.subn(pattern, instead, file.read_text())
    assert count
    file.write_text(text)


def test_people_read_whom_to_write_to(guarded: Path) -> None:
    """The team that answers for security, not the one that answers for the rest."""
    said = policy(load_decisions(find_project(guarded)))

    assert "a weakness in sample? Write to guards@acme.example, and please open no public issue" in said
    assert "@acme/guards answers for the security of this service; @acme/platform stands in." in said


def test_programs_read_the_same(guarded: Path) -> None:
    """Both teams with their parts, the address, and today as the day of the last change."""
    run("sync")

    said = yaml.load((guarded / INSIGHTS).read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - text only

    assert said["header"]["last-updated"] == said["header"]["last-reviewed"] == str(now().date())
    assert said["header"]["url"] == said["project"]["repositories"][0]["url"] == ADDRESS
    assert said["project"]["administrators"][0] == {"name": "@acme/ai", "email": "ai@acme.example", "primary": "true"}
    assert said["project"]["vulnerability-reporting"]["contact"]["email"] == "guards@acme.example"


def test_the_day_moves_with_the_content_only(guarded: Path) -> None:
    """Whoever changes an owner, or confirms all of them, moves it; whoever comes by later does not."""
    run("sync")
    for line in ("", "review_by = 2027-05-01\n"):
        replace(guarded / INSIGHTS, r"'20\d\d-\d\d-\d\d'", "'2020-02-02'")
        assert stale(guarded) == []
        replace(guarded / "ownership.toml", r"(\[roles.legal\]\n)", rf"\1{line}")
        assert stale(guarded) == ([INSIGHTS] if line else [])
    run("sync")
    assert f"last-reviewed: '{now().date()}'" in (guarded / INSIGHTS).read_text()
    assert "asked again by 2027-05-01" in (guarded / INSIGHTS).read_text()


def test_two_days_that_differ_were_written_by_nobody(guarded: Path) -> None:
    """The command writes one day into both places."""
    run("sync")
    replace(guarded / INSIGHTS, r"last-updated: '20\d\d", "last-updated: '1999")

    assert stale(guarded) == [INSIGHTS]


def test_without_an_address_there_is_nothing_to_tell_programs(guarded: Path) -> None:
    """The file goes with the address, and what is no address is refused."""
    run("sync")
    replace(guarded / "pyproject.toml", f'Repository = "{ADDRESS}"', "")
    assert stale(guarded) == [INSIGHTS]
    run("sync")
    assert not (guarded / INSIGHTS).exists()


def test_what_is_no_address_is_refused(guarded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says where and what to write instead."""
    replace(guarded / "pyproject.toml", ADDRESS, "git@github.com:acme/sample.git")

    assert run("sync") == 2

    said = "project.urls.Repository: the value is 'git@github.com:acme/sample.git'. Write an address such as https"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("path", [POLICY, INSIGHTS])
def test_what_people_wrote_stands(guarded: Path, path: str) -> None:
    """A company's own policy says more than any decision of this repository; nothing else is held up by it."""
    (guarded / path).write_text("# Ours\n")

    assert run("sync") == 0

    assert (guarded / path).read_text() == "# Ours\n"
    assert run("sync", "--check") == 0
    assert (guarded / "catalog-info.yaml").exists()
