"""`chassis status` and `chassis update`, on a repository made from a release that is not the newest."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from answer_sets import CONFIG
from chassis_tools.updates.copier import COPIER
from cli_runner import run
from generated_project import commit, git
from template_releases import append, begin, project_of, release

pytestmark = pytest.mark.slow

CHANGE = """
[[changes]]
since = "1.1.0"
what = "Everybody is greeted."
keep = "greeting = false"
[[changes]]
since = "1.1.0"
what = "Blank is white."
keep = "paper = 'grey'"
answers = { shape = ["blank"] }
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with two releases: the second changes a file, adds one, drops one, and behaves differently."""
    source = begin(tmp_path_factory.mktemp("upkeep") / "template")
    chassis = source / "template/chassis"
    (chassis / "gone.txt").write_text("of 1.0.0\n")
    release(source, "1.0.0")
    (chassis / "gone.txt").unlink()
    (chassis / "new.txt").write_text("of 1.1.0\n")
    (source / "template/later.yaml").write_text("of: 1.1.0\n")
    law = chassis / "paths.txt"
    law.write_text(law.read_text().replace("yours   *", "chassis later.yaml\nyours   *"))
    append(chassis / "README.md", "The end of 1.1.0.")
    append(chassis / "changes.toml", CHANGE)
    release(source, "1.1.0")
    return source


@pytest.fixture(scope="module")
def pristine(source: Path) -> Path:
    """Return a repository of the first release."""
    return project_of(source, "1.0.0", source.parent / "pristine")


@pytest.fixture
def project(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository of the first release to work in."""
    project = shutil.copytree(pristine, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(project)
    return project


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command with `--json` and return what it says."""
    assert run(*arguments, "--json") == code
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.usefixtures("project")
def test_status_of_a_sound_repository(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A newer release is no fault unless asked for, and what changes is shown to those whom it concerns."""
    status = told(capsys, "status")
    assert (status["version"], status["newest"], status["commits_behind"]) == ("1.0.0", "1.1.0", 1)
    assert status["source"] == str(source)
    assert status["sound"] is True
    assert [change["what"] for change in status["changes"]] == ["Everybody is greeted."]

    assert run("status", "--newest") == 1
    assert run("status") == 0
    assert "to keep what was: greeting = false" in capsys.readouterr().out


def test_status_names_every_file_that_is_amiss(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edit, a file that is gone, one that is foreign, a stale one, and decisions that cannot be meant."""
    append(project / ".pre-commit-config.yaml", "# ours")
    (project / "chassis/tasks.mk").unlink()
    (project / "chassis/ours.py").write_text("")
    git(project, "add", "chassis/ours.py")
    (project / "catalog-info.yaml").unlink()

    status = told(capsys, "status", code=1)
    assert (status["edited"], status["missing"], status["added"]) == (
        [".pre-commit-config.yaml"],
        ["chassis/tasks.mk"],
        ["chassis/ours.py"],
    )
    assert status["stale"] == ["catalog-info.yaml"]

    constraints = project / "constraints.toml"
    constraints.write_text(constraints.read_text().replace("due_hours", "due_days"))
    status = told(capsys, "status", "--offline", code=1)
    unknown = "constraints.toml: review.due_days: unknown key (value 8). Did you mean due_hours?"
    assert status["misfits"] == [unknown]


def test_line_ends_are_no_edit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where git turns line ends into those of the machine, the chassis is still as it was shipped."""
    git(project, "config", "core.autocrlf", "true")
    readme = project / "chassis/README.md"
    readme.write_bytes(readme.read_bytes().replace(b"\n", b"\r\n"))

    assert told(capsys, "status")["edited"] == []


def test_a_template_out_of_reach_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not known is not called good, and a gate that needs it does not pass."""
    record = project / ".copier-answers.yml"
    record.write_text(record.read_text().replace("/template\n", "/elsewhere\n"))

    status = told(capsys, "status")
    assert status["newest"] is status["behind"] is status["edited"] is None
    assert "the template cannot be reached" in str(status["unknown"])
    assert run("status", "--newest") == 3
    assert "whether the chassis was edited is unknown" in capsys.readouterr().out
    assert run("update") == 2
    assert "the template cannot be reached" in capsys.readouterr().err


def test_update(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it is one commit on a branch, told by kind of file; the printed line takes it back."""
    before = git(project, "rev-parse", "main")
    (project / ".github/workflows/evals.yml").unlink()
    commit(project, "We evaluate elsewhere")

    update = told(capsys, "update")
    assert (update["old"], update["new"], update["conflicts"]) == ("1.0.0", "1.1.0", [])
    assert update["updated"] == ["chassis/README.md", "chassis/changes.toml", "chassis/paths.txt"]
    assert (update["added"], update["removed"]) == (["chassis/new.txt", "later.yaml"], ["chassis/gone.txt"])
    assert update["deleted"] == [".github/workflows/evals.yml"]
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "log", "-1", "--format=%s") == "Update the chassis from 1.0.0 to 1.1.0\n"
    status = told(capsys, "status")
    assert (status["version"], status["behind"], status["sound"]) == ("1.1.0", False, True)

    for command in str(update["undo"]).split(" && "):
        git(project, *command.split()[1:])
    assert git(project, "branch", "--format=%(refname:short)") == "main\n"
    assert git(project, "rev-parse", "main~1") == before
    assert told(capsys, "status")["version"] == "1.0.0"


def test_the_workflows_of_the_other_forge_are_nobodys(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On GitLab they are neither missing nor edited, and an update neither brings nor mentions them."""
    project = project_of(source, "1.0.0", tmp_path / "project", forge="gitlab")
    mirror = project / ".github/workflows/check.yml"
    mirror.parent.mkdir(parents=True)
    mirror.write_text("on: push\n")
    commit(project, "A mirror checks too")
    monkeypatch.chdir(project)

    assert told(capsys, "status")["edited"] == []
    update = told(capsys, "update")
    assert (update["deleted"], update["kept"], update["added"]) == ([], [], ["chassis/new.txt", "later.yaml"])
    assert mirror.read_text() == "on: push\n"


def test_an_edit_in_the_way_stops_the_whole_update(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is recorded as done that is not; the way out keeps the edit in the history."""
    append(project / "chassis/README.md", "Our last line.")
    append(project / "chassis/gone.txt", "Our last line.")
    commit(project, "Edit the chassis")
    before = git(project, "rev-parse", "HEAD")

    assert told(capsys, "update", code=1)["conflicts"] == ["chassis/README.md", "chassis/gone.txt"]
    assert git(project, "rev-parse", "HEAD") == before
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "branch", "--format=%(refname:short)") == "main\n"
    assert told(capsys, "status", code=1)["version"] == "1.0.0"

    assert told(capsys, "update", "--discard-edits")["conflicts"] == []
    assert "Our last line." not in (project / "chassis/README.md").read_text()
    assert "Our last line." in git(project, "log", "-p", "-2", "chassis/README.md")
    assert told(capsys, "status")["edited"] == []


def test_an_edit_that_fits_is_merged_and_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stays, it is shown for reading, and it is still an edit; a file that the team had first stays the team's."""
    (project / "later.yaml").write_text("ours: for years\n")
    readme = project / "chassis/README.md"
    readme.write_text("Our first line.\n\n" + readme.read_text())
    commit(project, "Edit the chassis")

    update = told(capsys, "update")
    assert (update["merged"], update["kept"]) == (["chassis/README.md"], ["later.yaml"])
    assert (project / "later.yaml").read_text() == "ours: for years\n"
    assert readme.read_text().startswith("Our first line.")
    assert readme.read_text().endswith("The end of 1.1.0.\n")
    assert told(capsys, "status", code=1)["edited"] == ["chassis/README.md"]


def test_updates_refuse_to_begin_in_the_middle_of_work(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the files, also those that git is told not to mention, and nothing is touched."""
    git(project, "config", "status.showUntrackedFiles", "no")
    (project / "notes.txt").write_text("unfinished\n")
    assert run("update") == 2
    assert capsys.readouterr().err == (
        "the working tree: not committed: notes.txt. Commit it, or `git stash --include-untracked`; then try again\n"
    )
    (project / "notes.txt").unlink()
    git(project, "branch", "chassis-1.1.0")
    assert run("update") == 2
    assert "Merge it, or remove it: git branch -D chassis-1.1.0" in capsys.readouterr().err
    git(project, "switch", "--quiet", "--detach")
    assert run("update") == 2
    assert "Check one out, such as `git switch main`" in capsys.readouterr().err


def test_a_failure_of_copier_leaves_everything_as_it_was(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it had written files before it failed."""
    fake = project.parent / "bin"
    fake.mkdir()
    (fake / "copier").write_text("#!/bin/sh\necho half >half.txt; echo >>README.md; echo 'No luck.' >&2; exit 1\n")
    (fake / "copier").chmod(0o755)
    monkeypatch.setenv("PATH", str(fake), prepend=":")

    assert run("update") == 2
    assert capsys.readouterr().err == "copier update: No luck. Nothing was changed; mend that, then try again\n"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "branch", "--format=%(refname:short)") == "main\n"


def test_copier_is_the_version_that_the_template_needs() -> None:
    """What `chassis update` fetches can read `copier.yml`."""
    assert COPIER.startswith(f"copier>={CONFIG['_min_copier_version']}")
