"""All that a derived file may follow from, read and checked once."""

from dataclasses import dataclass

from chassis.config.constraints import Constraints, load_constraints
from chassis.config.ownership import Ownership, load_ownership
from chassis.config.project import Project


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the team has decided.

    Args:
        project: Name, purpose and forge, from `pyproject.toml`.
        constraints: What must hold, from `constraints.toml`.
        ownership: Who answers for what, from `ownership.toml`.
    """

    project: Project
    constraints: Constraints
    ownership: Ownership


def load_decisions(project: Project) -> Decisions:
    """Read and check the decisions of a project.

    Raises:
        ConfigError: A file is missing or says something that cannot be meant.
    """
    return Decisions(project, load_constraints(project.root), load_ownership(project.root))
