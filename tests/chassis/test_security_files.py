"""SECURITY.md and security-insights.yml: their content, when they change, and when a hand-written file stays."""

import re
from pathlib import Path

import pytest
import yaml
from chassis.clock import now
from chassis.config.project import find_project
from chassis_tools.governance.derived_files import out_of_date_files
from chassis_tools.governance.file_contents import load_decisions, security_policy
from cli_runner import run
from ownership_file import OWNERSHIP, write

POLICY, INSIGHTS = "SECURITY.md", "security-insights.yml"
SECURITY_TEAM = '[teams.guards]\nhandle = "@acme/guards"\nemail = "guards@acme.example"\n[teams.platform]'
ADDRESS = "https://github.com/acme/sample"


@pytest.fixture
def guarded(project: Path) -> Path:
    """Return the sample project with a separate security team and a known repository address."""
    ownership = OWNERSHIP.replace("[teams.platform]", SECURITY_TEAM)
    write(
        project, ownership.replace('[roles.security]\naccountable = "ai"', '[roles.security]\naccountable = "guards"')
    )
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("[tool", f'[project.urls]\nRepository = "{ADDRESS}"\n[tool'))
    return project


def out_of_date(project: Path) -> list[str]:
    """Return the paths of the derived files that are out of date."""
    return [file.path for file in out_of_date_files(load_decisions(find_project(project)))]


def replace(file: Path, pattern: str, replacement: str) -> None:
    """Replace what a pattern matches in a file; it must match."""
    text, count = re.subn(pattern, replacement, file.read_text())
    assert count
    file.write_text(text)


def test_the_policy_names_the_security_team(guarded: Path) -> None:
    """Reports go to the team that is accountable for security, not to the owner of the service."""
    text = security_policy(load_decisions(find_project(guarded)))

    assert "a vulnerability in sample, write to guards@acme.example. Please do not open a public issue." in text
    assert "@acme/guards is responsible for the security of this service; @acme/platform is the deputy." in text


def test_the_insights_name_both_teams(guarded: Path) -> None:
    """Owner and security contact, the address, and today as the day of the last change."""
    run("sync")

    insights = yaml.load((guarded / INSIGHTS).read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - text only

    header, project = insights["header"], insights["project"]
    assert header["last-updated"] == header["last-reviewed"] == str(now().date())
    assert header["url"] == project["repositories"][0]["url"] == ADDRESS
    assert project["administrators"][0] == {"name": "@acme/ai", "email": "ai@acme.example", "primary": "true"}
    assert project["vulnerability-reporting"]["contact"]["email"] == "guards@acme.example"


def test_the_day_moves_only_with_the_content(guarded: Path) -> None:
    """Changing or confirming the owners updates the day; a later `chassis sync` does not."""
    run("sync")
    for line in ("", "review_by = 2027-05-01\n"):
        replace(guarded / INSIGHTS, r"'20\d\d-\d\d-\d\d'", "'2020-02-02'")
        assert out_of_date(guarded) == []
        replace(guarded / "ownership.toml", r"(\[roles.legal\]\n)", rf"\1{line}")
        assert out_of_date(guarded) == ([INSIGHTS] if line else [])
    run("sync")
    assert f"last-reviewed: '{now().date()}'" in (guarded / INSIGHTS).read_text()
    assert "reviewed by 2027-05-01" in (guarded / INSIGHTS).read_text()


def test_two_different_days_are_out_of_date(guarded: Path) -> None:
    """`chassis sync` writes the same day in both places."""
    run("sync")
    replace(guarded / INSIGHTS, r"last-updated: '20\d\d", "last-updated: '1999")

    assert out_of_date(guarded) == [INSIGHTS]


def test_without_an_address_there_are_no_insights(guarded: Path) -> None:
    """The file is removed with the address that it needs."""
    run("sync")
    replace(guarded / "pyproject.toml", f'Repository = "{ADDRESS}"', "")
    assert out_of_date(guarded) == [INSIGHTS]
    run("sync")
    assert not (guarded / INSIGHTS).exists()


def test_an_invalid_address_is_refused(guarded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the key, and an address that would be valid."""
    replace(guarded / "pyproject.toml", ADDRESS, "git@github.com:acme/sample.git")

    assert run("sync") == 2

    message = "project.urls.Repository: 'git@github.com:acme/sample.git' is not a web address. Write one such as https"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("path", [POLICY, INSIGHTS])
def test_a_hand_written_file_stays(guarded: Path, path: str) -> None:
    """A company's own policy may say more than the decisions; all other derived files are still written."""
    (guarded / path).write_text("# Ours\n")

    assert run("sync") == 0

    assert (guarded / path).read_text() == "# Ours\n"
    assert run("sync", "--check") == 0
    assert (guarded / "catalog-info.yaml").exists()
