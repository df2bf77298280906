"""Gives every role of a project a team of its own, so that a test can tell which role was used."""

import re
from pathlib import Path

from chassis.config.ownership import Roles
from chassis.config.project import find_project
from chassis_tools.governance.derived_files import write_derived_files
from chassis_tools.governance.file_contents import load_decisions


def one_team_a_role(project: Path) -> Path:
    """Give each role a team, and write the derived files."""
    teams = "".join(
        f'[teams.{role.replace("_", "-")}]\nhandle = "@acme/{role}"\nemail = "{role}@acme.example"\n\n'
        for role in Roles.model_fields
    )
    text = (project / "ownership.toml").read_text(encoding="utf-8")
    for role in Roles.model_fields:
        role_table = f'[roles.{role}]\naccountable = "{role.replace("_", "-")}"'
        text = re.sub(rf'\[roles\.{role}\]\naccountable = "\w+"', role_table, text)
    (project / "ownership.toml").write_text(text.replace("[roles.system]", teams + "[roles.system]", 1))
    sync(project)
    return project


def sync(project: Path) -> list[str]:
    """Write the derived files, and return the paths of those that were out of date."""
    return [file.path for file in write_derived_files(load_decisions(find_project(project)))]
