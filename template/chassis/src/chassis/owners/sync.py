"""Keeps the derived files equal to what `ownership.toml` says."""

import tomllib
from pathlib import Path

from chassis.owners.derive import catalog_info, codeowners
from chassis.owners.ownership import Ownership
from chassis.project import Project


def drifted(project: Project, ownership: Ownership) -> list[str]:
    """Return the derived files that are missing or differ from what they should say."""
    return list(_differing(project, ownership))


def write(project: Project, ownership: Ownership) -> list[str]:
    """Write the derived files that had drifted and return their paths."""
    differing = _differing(project, ownership)
    for path, text in differing.items():
        file = project.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    return list(differing)


def _differing(project: Project, ownership: Ownership) -> dict[str, bytes]:
    expected = {
        ".github/CODEOWNERS": codeowners(ownership),
        "catalog-info.yaml": catalog_info(ownership, project.name, _purpose(project)),
    }
    return {path: text.encode() for path, text in expected.items() if _content(project.root / path) != text.encode()}


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _purpose(project: Project) -> str:
    with (project.root / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file).get("project", {}).get("description", ""))
