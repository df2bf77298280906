"""Who owns what: one file, what follows from it, and what it may not say."""

from datetime import date
from pathlib import Path

import pytest
from command import run

from chassis.errors import ConfigError
from chassis.owners.derive import catalog_info, codeowners
from chassis.owners.ownership import Roles, load_ownership

TEAMS = """\
lifecycle = "experimental"
[teams.ai]
handle = "@acme/ai"
email = "ai@acme.example"
[teams.platform]
handle = "@acme/platform"
"""
PATHS = {"system": '["/ownership.toml", "*"]', "prompts": '["/src/acme/prompts.py", "/src/"]', "cost": '["*.toml"]'}
ROLE = '[roles.{name}]\naccountable = "ai"\ndeputy = "platform"\npaths = {paths}\n'
OWNERSHIP = TEAMS + "".join(ROLE.format(name=name, paths=PATHS.get(name, "[]")) for name in Roles.model_fields)

SECURITY = '[roles.security]\naccountable = "ai"\ndeputy = "platform"\n'


def write(root: Path, text: str) -> Path:
    """Write `ownership.toml` and return where."""
    (root / "ownership.toml").write_text(text)
    return root


def test_codeowners_puts_narrow_patterns_last(tmp_path: Path) -> None:
    """The last match wins, so what is meant for one file must come after what is meant for all."""
    ownership = load_ownership(write(tmp_path, OWNERSHIP))

    assert codeowners(ownership).splitlines()[2:] == [
        "* @acme/ai @acme/platform",
        "*.toml @acme/ai @acme/platform",
        "/ownership.toml @acme/ai @acme/platform",
        "/src/ @acme/ai @acme/platform",
        "/src/acme/prompts.py @acme/ai @acme/platform",
    ]


def test_derived_files_say_what_writes_them(tmp_path: Path) -> None:
    """Whoever opens one to edit it reads in the first line where to go instead."""
    ownership = load_ownership(write(tmp_path, OWNERSHIP))

    for text in (codeowners(ownership), catalog_info(ownership, "sample", "")):
        assert text.splitlines()[0].startswith("# Derived from ownership.toml")
        assert "`uv run chassis sync`" in text.splitlines()[0]


def test_the_catalog_entry_survives_quotes(tmp_path: Path) -> None:
    """A purpose is prose, and prose has apostrophes, colons and line ends."""
    ownership = load_ownership(write(tmp_path, OWNERSHIP))

    entry = catalog_info(ownership, "sample", "It's: one\nline")

    assert "  description: 'It''s: one line'\n" in entry
    assert "  owner: group:default/ai\n" in entry
    assert "url: mailto:ai@acme.example\n" in entry


def test_a_single_team_needs_no_deputy(tmp_path: Path) -> None:
    """A small company is not made to invent a second team."""
    alone = OWNERSHIP.replace('[teams.platform]\nhandle = "@acme/platform"\n', "").replace('deputy = "platform"\n', "")

    assert "* @acme/ai\n" in codeowners(load_ownership(write(tmp_path, alone)))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('accountable = "ai"', 'accountable = "ia"', "roles.system.accountable is 'ia', no team here. Add [teams.ia]"),
        (
            'deputy = "platform"',
            'deputy = "ops"',
            "roles.system.deputy is 'ops', no team here. Add [teams.ops] or write one of: ai",
        ),
        ('deputy = "platform"', 'deputy = "ai"', "roles.system.deputy is 'ai', as is accountable. Name another team"),
        ('deputy = "platform"', "", "roles.system.deputy is missing although there are several teams. Add one of: ai"),
        (
            'email = "ai@acme.example"',
            "",
            "teams.ai.email is missing although the team is accountable for 'system'. Add it",
        ),
        (SECURITY, "[other]\n", "ownership.toml: roles.security: the key is missing. Add it"),
        ("[roles.security]", "[roles.secrecy]", "ownership.toml: roles.security: the key is missing. Add it"),
        ('["*.toml"]', '["/src/"]', "'/src/' is in roles.prompts.paths and in roles.cost.paths. Keep it in one"),
        ("@acme/platform", "platform", "ownership.toml: teams.platform.handle: the value is 'platform'"),
        ('"experimental"', '"beta"', "ownership.toml: lifecycle: the value is 'beta'"),
    ],
)
def test_a_file_without_clear_owners_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    """Exactly one team answers for each part, and the sentence says which part has none."""
    assert old in OWNERSHIP

    with pytest.raises(ConfigError) as refusal:
        load_ownership(write(tmp_path, OWNERSHIP.replace(old, new)))

    assert sentence in str(refusal.value)


def test_a_review_is_due_from_its_day_on(tmp_path: Path) -> None:
    """The reminder begins on the day itself and not before."""
    ownership = load_ownership(write(tmp_path, OWNERSHIP.replace(SECURITY, SECURITY + "review_by = 2026-06-30\n")))

    assert ownership.due_reviews(date(2026, 6, 29)) == []
    assert ownership.due_reviews(date(2026, 6, 30)) == ["security"]


def test_sync_mends_what_check_complains_about(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check changes nothing, names file and command, and is content once the command has run."""
    write(project, OWNERSHIP)
    assert run("sync", "--check") == 1
    assert capsys.readouterr().err.splitlines() == [
        ".github/CODEOWNERS is not what ownership.toml says; run `uv run chassis sync`",
        "catalog-info.yaml is not what ownership.toml says; run `uv run chassis sync`",
    ]
    assert not (project / "catalog-info.yaml").exists()

    assert run("sync") == 0
    assert run("sync", "--check") == 0

    write(project, OWNERSHIP.replace("@acme/ai", "@acme/answers"))
    assert run("sync", "--check") == 1
    assert ".github/CODEOWNERS is not" in capsys.readouterr().err


def test_sync_reminds_of_a_due_review(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A date that has come is said aloud, but stops nobody's work."""
    write(project, OWNERSHIP.replace(SECURITY, SECURITY + "review_by = 2020-01-01\n"))

    assert run("sync") == 0

    assert "roles.security.review_by has come" in capsys.readouterr().err
