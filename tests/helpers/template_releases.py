"""Releases of the template, as tags in a copy of it; the repository itself is never tagged by tests."""

from pathlib import Path

from chassis.config.project import find_project
from chassis_tools.governance.decisions import load_decisions
from chassis_tools.governance.derived_files import write_derived_files
from generated_project import commit, copy_template, generate_into, git


def begin(folder: Path) -> Path:
    """Copy the template as it lies in the working tree into a new repository."""
    folder.mkdir(parents=True)
    copy_template(folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    return folder


def release(source: Path, version: str) -> None:
    """Commit the template and tag it."""
    commit(source, version)
    git(source, "tag", version)


def project_of(source: Path, version: str, folder: Path, **answers: object) -> Path:
    """Generate a repository from a release, derive what follows, and commit it as its team would."""
    generate_into(folder, source, answers, vcs_ref=version)
    write_derived_files(load_decisions(find_project(folder)))
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.name", "Test")
    git(folder, "config", "user.email", "test@example.com")
    commit(folder, "As generated")
    return folder


def append(file: Path, text: str) -> None:
    """Add a line to a file."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f"{text}\n")
