"""Loads the team's decisions: `pyproject.toml`, `constraints.toml` and `ownership.toml`."""

from dataclasses import dataclass

from chassis.config.constraints import Constraints, load_constraints
from chassis.config.ownership import Ownership, load_ownership
from chassis.config.project import Project


@dataclass(frozen=True, slots=True)
class Decisions:
    """Everything that derived files and sign-offs depend on.

    Args:
        project: Name, purpose, forge and address of the repository, from `pyproject.toml`.
        constraints: From `constraints.toml`.
        ownership: From `ownership.toml`.
    """

    project: Project
    constraints: Constraints
    ownership: Ownership


def load_decisions(project: Project) -> Decisions:
    """Read and validate the decisions of a project.

    Raises:
        ConfigError: A file is missing or invalid.
    """
    return Decisions(project, load_constraints(project.root), load_ownership(project.root))
