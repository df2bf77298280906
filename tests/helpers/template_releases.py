"""Releases of the template as tags in a copy of it, and repositories generated from them."""

import shutil
from pathlib import Path

import pytest
from chassis.config.project import find_project
from chassis_tools.governance.derived_files import write_derived_files
from chassis_tools.governance.file_contents import load_decisions
from chassis_tools.updates.copier import ANSWERS_FILE
from generated_project import commit, copy_template, generate_into, git


def template_repository(folder: Path, *, subpackages: bool = True) -> Path:
    """Copy the template from the working tree into a new git repository, without a commit."""
    copy_template(folder, subpackages=subpackages)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    return folder


def tag_release(source: Path, version: str) -> None:
    """Commit the template and tag it."""
    commit(source, version)
    git(source, "tag", version)
    git(source, "repack", "-a", "-d", "--quiet")  # Copier clones it often, and a pack is one file


def generate_repository(
    source: Path, version: str, folder: Path, answers_file: str = ANSWERS_FILE, **answers: object
) -> Path:
    """Generate a repository from a release, write its derived files, and commit everything."""
    generate_into(folder, source, answers, vcs_ref=version, answers_file=answers_file)
    write_derived_files(load_decisions(find_project(folder)))
    git(folder, "init", "--quiet", "--template=", "--initial-branch", "main")
    git(folder, "config", "user.name", "Test")
    git(folder, "config", "user.email", "test@example.com")
    commit(folder, "As generated")
    git(folder, "gc", "--quiet")  # tests copy the repository, and it has half as many files with one pack
    return folder


def working_copy(repository: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy a repository, make the copy the working directory, and return it."""
    copy = shutil.copytree(repository, folder, symlinks=True)
    monkeypatch.chdir(copy)
    return copy


def append_line(file: Path, text: str) -> None:
    """Append a line to a file."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f"{text}\n")
