"""An update replaces the chassis and touches nothing of the team's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from copier import run_update
from copier.errors import UserMessageError
from generated_project import commit, copy_template, generate_into, git, rendered


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Return the template with two releases: in the second, every kind of file is changed, added or gone."""
    (tmp_path / "releases").mkdir()
    source = copy_template(tmp_path / "releases")
    (source / "template/chassis/retired.txt").write_text("of the first release\n", encoding="utf-8")
    release(source, "1.0.0")

    (source / "template/chassis/retired.txt").unlink()
    (source / "template/chassis/new.txt").write_text("of the second release\n", encoding="utf-8")
    page = "{{ shape_answer }}/documents/service.md"
    for changed in ("chassis/README.md", "README.md.jinja", "constraints.toml.jinja", page):
        with (source / "template" / changed).open("a", encoding="utf-8") as file:
            file.write("\n# changed by the second release\n")
    (source / "template/added.md").write_text("A file that a team would get today.\n", encoding="utf-8")
    release(source, "2.0.0")
    return source


def release(source: Path, version: str) -> None:
    """Commit the template and tag it."""
    if not (source / ".git").exists():
        git(source, "init", "--quiet", "--initial-branch", "main")
    commit(source, version)
    git(source, "tag", version)


@pytest.fixture
def project(releases: Path, tmp_path: Path) -> Path:
    """Return a project of the first release that its team has worked in: files edited, deleted and added."""
    project = generate_into(tmp_path / "project", releases, {}, vcs_ref="1.0.0")
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "As generated")
    (project / "README.md").write_text("# Ours now\n", encoding="utf-8")
    constraints = project / "constraints.toml"
    constraints.write_text(constraints.read_text(encoding="utf-8").replace("= 20 ", "= 5 "), encoding="utf-8")
    (project / ".env.example").unlink()
    (project / ".github/workflows/deploy.yml").write_text("on: push\n", encoding="utf-8")
    commit(project, "Our work")
    return project


@pytest.mark.slow
def test_update(project: Path) -> None:
    """The team's edits and deletions stay, the chassis is the new one, and nothing is left to merge."""
    before = {path: (project / path).read_bytes() for path in git(project, "ls-files").split()}

    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="2.0.0")

    assert git(project, "ls-files", "--unmerged") == ""
    assert git(project, "status", "--porcelain").split() == [
        *("M", ".copier-answers.yml"),
        *("M", "chassis/README.md"),
        *("D", "chassis/retired.txt"),
        *("??", "chassis/new.txt"),
    ]
    assert "second release" in (project / "chassis/README.md").read_text(encoding="utf-8")
    assert "_commit: 2.0.0" in (project / ".copier-answers.yml").read_text(encoding="utf-8")
    kept = {path: content for path, content in before.items() if not path.startswith(("chassis/", ".copier"))}
    assert {path: (project / path).read_bytes() for path in kept} == kept
    assert not (project / ".env.example").exists()
    assert not (project / "added.md").exists()


@pytest.mark.slow
def test_unfinished_work_is_left_alone(project: Path) -> None:
    """While something is edited, deleted or new and not committed, an update does not begin, and touches nothing."""
    (project / "README.md").write_text("# Half a sentence\n", encoding="utf-8")
    (project / "Makefile").unlink()
    (project / "idea.py").write_text("# new\n", encoding="utf-8")
    before = rendered(project)
    with pytest.raises(UserMessageError, match="dirty"):
        run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="2.0.0")
    assert rendered(project) == before


@pytest.mark.slow
def test_what_an_update_makes_stale_is_named(releases: Path, project: Path) -> None:
    """A newer chassis derives other files: the check names them and the command, and the command mends them."""
    assert chassis(project, "sync").returncode == 0
    commit(project, "Derived")
    source = releases / "template/chassis/tools/src/chassis_tools/governance/catalog.py"
    source.write_text(source.read_text(encoding="utf-8").replace("Who to ask", "Whom to ask"), encoding="utf-8")
    release(releases, "3.0.0")

    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="3.0.0")

    stale = chassis(project, "sync", "--check")
    assert (stale.returncode, stale.stderr) == (1, "catalog-info.yaml is out of date; run `uv run chassis sync`\n")
    assert chassis(project, "sync").stdout == "catalog-info.yaml written\n"
    assert chassis(project, "sync", "--check").returncode == 0


def chassis(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project's own chassis, without installing it."""
    code = "from chassis.cli.main import main; main()"
    places = os.environ | {"PYTHONPATH": str(project / "chassis/src")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=project, env=places, check=False, capture_output=True, text=True)


@pytest.mark.slow
def test_other_answers(project: Path) -> None:
    """New answers are recorded and change no file: for the team's own they were only a beginning."""
    run_update(project, {"owner_team": "@acme/new"}, defaults=True, overwrite=True, quiet=True, vcs_ref="1.0.0")
    assert git(project, "status", "--porcelain").split() == ["M", ".copier-answers.yml"]
