"""`copier update` replaces the chassis and does not touch the team's files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from copier import run_update
from copier.errors import UserMessageError
from generated_project import commit, generate_into, git, rendered
from template_releases import append_line, tag_release, template_repository

pytestmark = pytest.mark.slow


@pytest.fixture
def template_with_two_releases(tmp_path: Path) -> Path:
    """Return the template with two releases: the second changes, adds and removes files of every owner."""
    source = template_repository(tmp_path / "releases/template")
    (source / "template/chassis/retired.txt").write_text("of the first release\n", encoding="utf-8")
    tag_release(source, "1.0.0")

    (source / "template/chassis/retired.txt").unlink()
    (source / "template/chassis/new.txt").write_text("of the second release\n", encoding="utf-8")
    page = "{{ shape_answer }}/documents/returns.md"
    for changed in ("chassis/README.md", "README.md.jinja", "constraints.toml.jinja", page):
        append_line(source / "template" / changed, "\n# changed by the second release")
    (source / "template/added.md").write_text("A starter file that only new repositories get.\n", encoding="utf-8")
    tag_release(source, "2.0.0")
    return source


@pytest.fixture
def project(template_with_two_releases: Path, tmp_path: Path) -> Path:
    """Return a project of the first release, in which the team has edited, deleted and added files."""
    project = generate_into(tmp_path / "project", template_with_two_releases, {}, vcs_ref="1.0.0")
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "As generated")
    (project / "README.md").write_text("# Ours now\n", encoding="utf-8")
    constraints = project / "constraints.toml"
    constraints.write_text(constraints.read_text(encoding="utf-8").replace("= 20 ", "= 5 "), encoding="utf-8")
    (project / ".env.example").unlink()
    (project / ".github/workflows/deploy.yml").write_text("on: push\n", encoding="utf-8")
    commit(project, "Our work")
    return project


def test_update(project: Path) -> None:
    """The team's edits and deletions stay, the chassis is the new one, and there is no conflict."""
    before = {path: (project / path).read_bytes() for path in git(project, "ls-files").split()}

    command = [sys.executable, "-m", "copier", "update", "--defaults", "--quiet", "--vcs-ref", "2.0.0"]
    subprocess.run(command, cwd=project, check=True)  # the Copier of users, not the quick one of the other tests

    assert git(project, "ls-files", "--unmerged") == ""
    assert git(project, "status", "--porcelain").split() == [
        *("M", ".copier-answers.yml"),
        *("M", "chassis/README.md"),
        *("D", "chassis/retired.txt"),
        *("??", "chassis/new.txt"),
    ]
    assert "second release" in (project / "chassis/README.md").read_text(encoding="utf-8")
    assert "_commit: 2.0.0" in (project / ".copier-answers.yml").read_text(encoding="utf-8")
    team_files = {path: content for path, content in before.items() if not path.startswith(("chassis/", ".copier"))}
    assert {path: (project / path).read_bytes() for path in team_files} == team_files
    assert not (project / ".env.example").exists()
    assert not (project / "added.md").exists()


def test_uncommitted_changes_prevent_an_update(project: Path) -> None:
    """While a file is edited, deleted or new and not committed, an update does not start."""
    (project / "README.md").write_text("# Half a sentence\n", encoding="utf-8")
    (project / "Makefile").unlink()
    (project / "idea.py").write_text("# new\n", encoding="utf-8")
    before = rendered(project)
    with pytest.raises(UserMessageError, match="dirty"):
        run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="2.0.0")
    assert rendered(project) == before


def test_derived_files_after_an_update(template_with_two_releases: Path, project: Path) -> None:
    """If a newer chassis generates a derived file differently, `chassis sync --check` names it."""
    assert chassis(project, "sync").returncode == 0
    commit(project, "Derived")
    source = template_with_two_releases / "template/chassis/tools/src/chassis_tools/governance/file_contents.py"
    text = source.read_text(encoding="utf-8")
    assert "title: Contact" in text
    source.write_text(text.replace("title: Contact", "title: Owner"), encoding="utf-8")
    tag_release(template_with_two_releases, "3.0.0")

    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="3.0.0")

    check = chassis(project, "sync", "--check")
    assert (check.returncode, check.stderr) == (1, "catalog-info.yaml is out of date; run `uv run chassis sync`\n")
    assert chassis(project, "sync").stdout == "catalog-info.yaml written\n"
    assert chassis(project, "sync", "--check").returncode == 0


def test_other_answers_change_no_file(project: Path) -> None:
    """New answers are recorded; the files that they were used for already belong to the team."""
    run_update(project, {"owner_team": "@acme/new"}, defaults=True, overwrite=True, quiet=True, vcs_ref="1.0.0")
    assert git(project, "status", "--porcelain").split() == ["M", ".copier-answers.yml"]


def chassis(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project's own chassis, without installing it."""
    code = "from chassis.cli.main import main; main()"
    sources = os.pathsep.join((str(project / "chassis/src"), str(project / "chassis/tools/src")))
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"PYTHONPATH": sources}
    return subprocess.run(command, cwd=project, env=environment, check=False, capture_output=True, text=True)
