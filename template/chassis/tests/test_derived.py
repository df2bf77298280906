"""The files that follow from the team's decisions: what stands in them, and who may write them."""

from datetime import timedelta
from pathlib import Path

import pytest
from chassis_tools.governance.catalog import catalog_info
from chassis_tools.governance.codeowners import for_github, for_gitlab
from chassis_tools.governance.decisions import Decisions, load_decisions
from chassis_tools.governance.registry import COMMAND, DERIVED, MARK
from cli_runner import run
from ownership_file import OWNERSHIP, write

from chassis.clock import now
from chassis.config.project import find_project
from chassis.errors import ConfigError

GITLAB = '[project]\nname = "sample"\n[tool.chassis]\ntask = "sample_task:TASK"\nforge = "gitlab"\n'


@pytest.fixture
def owned(project: Path) -> Path:
    """Return the sample with two teams."""
    return write(project, OWNERSHIP)


def decisions(project: Path) -> Decisions:
    """Return what the files of a project say now."""
    return load_decisions(find_project(project))


def test_codeowners_puts_narrow_patterns_last(owned: Path) -> None:
    """The last match wins, so what is meant for one file must come after what is meant for all."""
    assert for_github(decisions(owned)).splitlines()[1:] == [
        "* @acme/ai @acme/platform",
        "*.toml @acme/ai @acme/platform",
        "/ownership.toml @acme/ai @acme/platform",
        "/src/ @acme/ai @acme/platform",
        "/src/acme/prompts.py @acme/ai @acme/platform",
    ]


def test_derived_files_say_what_writes_them(owned: Path) -> None:
    """Whoever opens one to edit it reads in the first line where to go instead."""
    found = decisions(owned)
    for derived in DERIVED:
        if text := derived.text(found):
            first = text.splitlines()[0]
            assert MARK in first
            assert all(source in first for source in derived.sources)


def test_the_catalog_entry_survives_quotes(owned: Path) -> None:
    """A purpose is prose, and prose has apostrophes, colons and line ends."""
    description = 'description = "It\'s: one\\nline"\n[tool.chassis]'
    file = owned / "pyproject.toml"
    file.write_text(file.read_text().replace("[tool.chassis]", description))

    entry = catalog_info(decisions(owned))

    assert "  description: 'It''s: one line'\n" in entry
    assert "  owner: group:default/ai\n" in entry
    assert "url: mailto:ai@acme.example\n" in entry


def test_sync_mends_what_check_complains_about(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check changes nothing, names file and command, and is content once the command has run."""
    assert run("sync", "--check") == 1
    expected = [derived.path for derived in DERIVED if derived.text(decisions(owned))]
    assert ".github/CODEOWNERS" in expected
    assert capsys.readouterr().err.splitlines() == [f"{path} is missing; run `{COMMAND}`" for path in expected]
    assert not any((owned / path).exists() for path in expected)

    assert run("sync") == 0
    assert run("sync", "--check") == 0

    write(owned, OWNERSHIP.replace("@acme/ai", "@acme/answers"))
    assert run("sync", "--check") == 1
    assert f".github/CODEOWNERS is out of date; run `{COMMAND}`" in capsys.readouterr().err


def test_every_derived_file_is_watched(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word added by hand to any of them is found, and taken out again."""
    run("sync")
    for derived in DERIVED:
        file = owned / derived.path
        if file.exists():
            file.write_text(file.read_text() + "# by hand\n")
            capsys.readouterr()
            assert run("sync", "--check") == 1
            assert capsys.readouterr().err == f"{derived.path} is out of date; run `{COMMAND}`\n"
            run("sync")
            assert "by hand" not in file.read_text()


def test_what_a_person_wrote_is_kept(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A repository that had a CODEOWNERS of its own is asked to move it, and nothing at all is written before."""
    file = owned / ".github/CODEOWNERS"
    file.parent.mkdir()
    file.write_text("* @acme/old\n")

    assert run("sync") == 2

    assert ".github/CODEOWNERS: `uv run chassis sync` did not write this file" in capsys.readouterr().err
    assert file.read_text() == "* @acme/old\n"
    assert not (owned / "catalog-info.yaml").exists()


def test_moving_to_another_forge(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line changed and one command: the file of the new forge is there, and that of the old one is not."""
    run("sync")
    (owned / "pyproject.toml").write_text(GITLAB)
    assert run("sync", "--check") == 1
    assert ".github/CODEOWNERS is left over; run" in capsys.readouterr().err

    assert run("sync") == 0

    assert ".github/CODEOWNERS removed\n.gitlab/CODEOWNERS written\n" in capsys.readouterr().out
    assert not (owned / ".github/CODEOWNERS").exists()
    assert (owned / ".gitlab/CODEOWNERS").exists()


def test_an_unknown_forge_is_refused(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says which there are."""
    (owned / "pyproject.toml").write_text(GITLAB.replace("gitlab", "gitea"))

    assert run("sync") == 2

    assert "tool.chassis.forge: the value is 'gitea'. Write one of: github, gitlab" in capsys.readouterr().err


def test_sub_groups_are_for_gitlab(owned: Path) -> None:
    """GitHub skips a line with a handle that it cannot read, without a word; so we say one."""
    write(owned, OWNERSHIP.replace("@acme/platform", "@acme/eng/platform"))

    assert "* @acme/ai @acme/eng/platform\n" in for_gitlab(decisions(owned))
    with pytest.raises(ConfigError, match="'@acme/eng/platform' has more than one slash"):
        for_github(decisions(owned))


@pytest.mark.parametrize(("tier", "days"), [("standard", 365), ("critical", 183)])
def test_a_review_cannot_be_put_off_for_ever(
    owned: Path, capsys: pytest.CaptureFixture[str], tier: str, days: int
) -> None:
    """The last day that is possible passes, the next one is refused, and the more depends on it the sooner it is."""
    security, last = '[roles.security]\naccountable = "ai"\n', now().date() + timedelta(days)
    constraints = owned / "constraints.toml"
    constraints.write_text(constraints.read_text().replace('tier = "standard"', f'tier = "{tier}"'))
    write(owned, OWNERSHIP.replace(security, f"{security}review_by = {last}\n"))
    assert run("sync") == 0

    write(owned, OWNERSHIP.replace(security, f"{security}review_by = {last + timedelta(1)}\n"))
    assert run("sync", "--check") == 2

    assert f"review_by: the value is {last + timedelta(1)}. Write {last} or an earlier day" in capsys.readouterr().err


def test_sync_reminds_of_a_due_review(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A date that has come is said aloud, but stops nobody's work."""
    security = '[roles.security]\naccountable = "ai"\n'
    write(owned, OWNERSHIP.replace(security, security + "review_by = 2020-01-01\n"))

    assert run("sync") == 0

    assert "roles.security.review_by has come" in capsys.readouterr().err
