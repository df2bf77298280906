"""A valid `ownership.toml`. A test changes the lines that it is about."""

from pathlib import Path

from chassis.config.ownership import Roles

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


def write(root: Path, text: str) -> Path:
    """Write `ownership.toml` and return its folder."""
    (root / "ownership.toml").write_text(text)
    return root
