"""The derived files: their content, and that `chassis sync` never overwrites a hand-written one."""

from datetime import timedelta
from pathlib import Path

import pytest
from chassis.clock import now
from chassis.config.project import find_project
from chassis.errors import ConfigError
from chassis_tools.governance.derived_files import DERIVED_FILES, MARKER, SYNC_COMMAND
from chassis_tools.governance.file_contents import (
    Decisions,
    catalog_info,
    github_codeowners,
    gitlab_codeowners,
    load_decisions,
)
from cli_runner import run
from ownership_file import OWNERSHIP, write

GITLAB = '[project]\nname = "sample"\n[tool.chassis]\ntask = "sample_task:TASK"\nforge = "gitlab"\n'


@pytest.fixture
def owned(project: Path) -> Path:
    """Return the sample project with two teams."""
    return write(project, OWNERSHIP)


def decisions(project: Path) -> Decisions:
    """Return the current decisions of a project."""
    return load_decisions(find_project(project))


def test_codeowners_puts_narrow_patterns_last(owned: Path) -> None:
    """The last match applies, so a pattern for one file must follow the pattern for all files."""
    assert github_codeowners(decisions(owned)).splitlines()[1:] == [
        "* @acme/ai @acme/platform",
        "*.toml @acme/ai @acme/platform",
        "/ownership.toml @acme/ai @acme/platform",
        "/src/ @acme/ai @acme/platform",
        "/src/acme/prompts.py @acme/ai @acme/platform",
    ]


def test_the_first_line_names_the_sources(owned: Path) -> None:
    """Anyone who opens a derived file to edit it reads which file to edit instead."""
    for derived in DERIVED_FILES:
        if content := derived.content(decisions(owned)):
            first_line = content.splitlines()[0]
            assert MARKER in first_line
            assert all(source in first_line for source in derived.sources)


def test_the_catalog_entry_survives_quotes(owned: Path) -> None:
    """A purpose is prose, with apostrophes, colons and line breaks."""
    description = 'description = "It\'s: one\\nline"\n[tool.chassis]'
    file = owned / "pyproject.toml"
    file.write_text(file.read_text().replace("[tool.chassis]", description))

    entry = catalog_info(decisions(owned))

    assert "  description: 'It''s: one line'\n" in entry
    assert "  owner: group:default/ai\n" in entry
    assert "url: mailto:ai@acme.example\n" in entry


def test_sync_fixes_what_check_reports(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` writes nothing, names each file and the command, and passes once the command has run."""
    assert run("sync", "--check") == 1
    expected = [derived.path for derived in DERIVED_FILES if derived.content(decisions(owned))]
    assert ".github/CODEOWNERS" in expected
    assert capsys.readouterr().err.splitlines() == [f"{path} is missing; run `{SYNC_COMMAND}`" for path in expected]
    assert not any((owned / path).exists() for path in expected)

    assert run("sync") == 0
    assert run("sync", "--check") == 0

    write(owned, OWNERSHIP.replace("@acme/ai", "@acme/answers"))
    assert run("sync", "--check") == 1
    assert f".github/CODEOWNERS is out of date; run `{SYNC_COMMAND}`" in capsys.readouterr().err


def test_an_edit_of_any_derived_file_is_reported(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line added by hand is found by `--check` and removed by `chassis sync`."""
    run("sync")
    for derived in DERIVED_FILES:
        file = owned / derived.path
        if file.exists():
            file.write_text(file.read_text() + "# by hand\n")
            capsys.readouterr()
            assert run("sync", "--check") == 1
            assert capsys.readouterr().err == f"{derived.path} is out of date; run `{SYNC_COMMAND}`\n"
            run("sync")
            assert "by hand" not in file.read_text()


def test_a_hand_written_file_is_not_overwritten(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An existing CODEOWNERS has to be moved first; until then `chassis sync` writes nothing at all."""
    file = owned / ".github/CODEOWNERS"
    file.parent.mkdir()
    file.write_text("* @acme/old\n")

    assert run("sync") == 2

    assert ".github/CODEOWNERS: `uv run chassis sync` did not write this file" in capsys.readouterr().err
    assert file.read_text() == "* @acme/old\n"
    assert not (owned / "catalog-info.yaml").exists()


def test_moving_to_another_forge(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After one changed line and one command, only the file of the new forge exists."""
    run("sync")
    (owned / "pyproject.toml").write_text(GITLAB)
    assert run("sync", "--check") == 1
    assert ".github/CODEOWNERS is no longer needed; run" in capsys.readouterr().err

    assert run("sync") == 0

    assert ".github/CODEOWNERS removed\n.gitlab/CODEOWNERS written\n" in capsys.readouterr().out
    assert not (owned / ".github/CODEOWNERS").exists()
    assert (owned / ".gitlab/CODEOWNERS").exists()


def test_an_unknown_forge_is_refused(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the known forges."""
    (owned / "pyproject.toml").write_text(GITLAB.replace("gitlab", "gitea"))

    assert run("sync") == 2

    assert "tool.chassis.forge: the value is 'gitea'. Write one of: github, gitlab" in capsys.readouterr().err


def test_only_gitlab_has_subgroups(owned: Path) -> None:
    """GitHub silently ignores a line with a handle that it cannot read, so such a handle is an error."""
    write(owned, OWNERSHIP.replace("@acme/platform", "@acme/eng/platform"))

    assert "* @acme/ai @acme/eng/platform\n" in gitlab_codeowners(decisions(owned))
    with pytest.raises(ConfigError, match="'@acme/eng/platform' has more than one slash"):
        github_codeowners(decisions(owned))


@pytest.mark.parametrize(("tier", "days"), [("standard", 365), ("critical", 183)])
def test_a_review_date_has_a_limit(owned: Path, capsys: pytest.CaptureFixture[str], tier: str, days: int) -> None:
    """The latest possible day is accepted and the next one is refused; a higher tier allows less time."""
    security, last = '[roles.security]\naccountable = "ai"\n', now().date() + timedelta(days)
    constraints = owned / "constraints.toml"
    constraints.write_text(constraints.read_text().replace('tier = "standard"', f'tier = "{tier}"'))
    write(owned, OWNERSHIP.replace(security, f"{security}review_by = {last}\n"))
    assert run("sync") == 0

    write(owned, OWNERSHIP.replace(security, f"{security}review_by = {last + timedelta(1)}\n"))
    assert run("sync", "--check") == 2

    assert f"review_by: the value is {last + timedelta(1)}. Write {last} or an earlier day" in capsys.readouterr().err


def test_sync_reminds_of_a_due_review(owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A date that has passed is reported but does not fail the command."""
    security = '[roles.security]\naccountable = "ai"\n'
    write(owned, OWNERSHIP.replace(security, security + "review_by = 2020-01-01\n"))

    assert run("sync") == 0

    assert "roles.security.review_by has passed" in capsys.readouterr().err
