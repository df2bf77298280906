"""`ownership.toml`: valid files and their errors."""

from datetime import date
from pathlib import Path

import pytest
from chassis.config.ownership import load_ownership
from chassis.errors import ConfigError
from ownership_file import OWNERSHIP, write

SECURITY = '[roles.security]\naccountable = "ai"\ndeputy = "platform"\n'


def test_a_single_team_needs_no_deputy(tmp_path: Path) -> None:
    """A company with one team does not have to invent a second one."""
    alone = OWNERSHIP.replace('[teams.platform]\nhandle = "@acme/platform"\n', "").replace('deputy = "platform"\n', "")

    assert load_ownership(write(tmp_path, alone)).roles.system.deputy is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'accountable = "ai"',
            'accountable = "ia"',
            "roles.system.accountable is 'ia', which is no team. Add [teams.ia]",
        ),
        (
            'deputy = "platform"',
            'deputy = "ops"',
            "roles.system.deputy is 'ops', which is no team. Add [teams.ops] or write one of: ai",
        ),
        ('deputy = "platform"', 'deputy = "ai"', "roles.system.deputy is 'ai', as is accountable. Name another team"),
        ('deputy = "platform"', "", "roles.system.deputy is missing although there are several teams. Add one of: ai"),
        (
            'email = "ai@acme.example"',
            "",
            "teams.ai.email is missing although the team is accountable for 'system'. Add it",
        ),
        (SECURITY, "[other]\n", "ownership.toml: roles.security: the key is missing. Add it"),
        ("[roles.security]", "[roles.secrecy]", "roles.secrecy: unknown key. Did you mean security?"),
        ('["*.toml"]', '["/src/"]', "'/src/' is in roles.prompts.paths and in roles.cost.paths. Keep it in one"),
        ("@acme/platform", "platform", "ownership.toml: teams.platform.handle: the value is 'platform'"),
        ('"experimental"', '"beta"', "ownership.toml: lifecycle: the value is 'beta'"),
        ("[teams.ai]", '[teams.ai]\nalerts = ["teams"]', "ownership.toml: teams.ai.alerts"),
        ("[teams.ai]", '[teams.ai]\nalerts = "slack"', "ownership.toml: teams.ai.alerts"),
        ("[teams.ai]", "[teams.ai]\nalerts = []", "ownership.toml: teams.ai.alerts"),
    ],
)
def test_unclear_ownership_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    """The error names the role or the team that is wrong, and the remedy."""
    assert old in OWNERSHIP

    with pytest.raises(ConfigError) as refusal:
        load_ownership(write(tmp_path, OWNERSHIP.replace(old, new)))

    assert sentence in str(refusal.value)


def test_a_review_is_due_on_its_day(tmp_path: Path) -> None:
    """It is due on the day itself, and not before."""
    ownership = load_ownership(write(tmp_path, OWNERSHIP.replace(SECURITY, SECURITY + "review_by = 2026-06-30\n")))

    assert ownership.due_reviews(date(2026, 6, 29)) == []
    assert ownership.due_reviews(date(2026, 6, 30)) == ["security"]
