"""A project in which every role has a team of its own, so that it shows who is meant."""

import re
from pathlib import Path

from chassis.config.ownership import Roles
from chassis.config.project import find_project
from chassis_tools.governance.decisions import load_decisions
from chassis_tools.governance.derived_files import write_derived_files


def one_team_a_role(project: Path) -> Path:
    """Give each role a team, and write the files that follow."""
    teams = "".join(
        f'[teams.{role.replace("_", "-")}]\nhandle = "@acme/{role}"\nemail = "{role}@acme.example"\n\n'
        for role in Roles.model_fields
    )
    text = (project / "ownership.toml").read_text(encoding="utf-8")
    for role in Roles.model_fields:
        mine = f'[roles.{role}]\naccountable = "{role.replace("_", "-")}"'
        text = re.sub(rf'\[roles\.{role}\]\naccountable = "\w+"', mine, text)
    (project / "ownership.toml").write_text(text.replace("[roles.system]", teams + "[roles.system]", 1))
    sync(project)
    return project


def sync(project: Path) -> list[str]:
    """Do what `chassis sync` does, and return the files that it wrote."""
    return [drift.path for drift in write_derived_files(load_decisions(find_project(project)))]
