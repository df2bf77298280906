"""`chassis update` in repositories as git users keep them: links, ignored files, SHA-256, folders of a repository."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from answer_sets import CONFIG
from cli_runner import run, run_json
from copier import run_update
from generated_project import commit, generate_into, git
from template_releases import append_line, generate_repository, tag_release, template_repository, working_copy

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_copier_on_path")]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with two releases; the second adds files and has another updater."""
    source = template_repository(tmp_path_factory.mktemp("repositories") / "template")
    (source / "CHANGELOG.md").write_text("## 1.0.0\n- The first.\n")
    tag_release(source, "1.0.0")
    template = source / "template"
    append_line(template / "chassis/README.md", "The end of 1.1.0.")
    append_line(template / "Dockerfile", "# The end of 1.1.0.")
    (template / "chassis/new.md").write_text("of 1.1.0\n")
    (source / "CHANGELOG.md").write_text(
        "## 1.1.0\n- All of it. <!-- forge: github -->\n- Elsewhere. <!-- forge: gitlab -->\n## 1.0.0\n- The first.\n"
    )
    updater = template / "chassis/tools/src/chassis_tools/cli/template.py"
    updater.write_text(updater.read_text().replace("Updated the chassis from", "The newest updater went from"))
    tag_release(source, "1.1.0")
    return source


@pytest.fixture(scope="module")
def pristine(source: Path) -> Path:
    """Return a repository of the first release."""
    return generate_repository(source, "1.0.0", source.parent / "pristine", shape="blank")


@pytest.fixture
def project(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of that repository, as the working directory."""
    return working_copy(pristine, tmp_path / "project", monkeypatch)


@pytest.mark.usefixtures("project")
def test_the_newest_updater_runs_and_says_what_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    """Its text is that of the new release, and the changelog entries are those for this repository's answers."""
    assert run("update") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["The newest updater went from 1.0.0 to 1.1.0.", "new in 1.1.0: All of it."]
    assert "Elsewhere." not in lines


def test_a_new_file_that_git_ignores_is_committed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule of the team hides it, but a clone must have it."""
    append_line(project / ".gitignore", "*.md")
    commit(project, "Ignore")
    assert run_json(capsys, "update")["added"] == ["chassis/new.md"]
    assert git(project, "ls-files", "chassis/new.md") == "chassis/new.md\n"


def test_adoption_names_the_rules_that_hide_new_files(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command beside each rule works; then nothing is said about it any more."""
    root = tmp_path / "existing"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / ".gitignore").write_text(".env\nvar/\n.venv/\n__pycache__/\n*.txt\n/evals/\n.python-version\n")
    commit(root, "As it was")
    generate_into(root, source, {"shape": "blank"}, vcs_ref="1.1.0", skip_if_exists=["*"])
    assert run_in(root, "adopt") == 0
    output = capsys.readouterr().out
    rules = ("# line 5, *.txt, hides", "# line 6, /evals/, hides", "# line 7, .python-version, hides")
    assert [rule for rule in rules if rule not in output] == []
    for command in re.findall(r"# (git add --force .*)", output):
        subprocess.run(["sh", "-c", command], cwd=root, check=True)
    git(root, "add", "--all")
    assert run_in(root, "adopt") == 0
    assert "hides" not in capsys.readouterr().out
    assert git(root, "ls-files", "chassis/paths.txt", "evals/suites.toml", ".python-version").count("\n") == 3


def test_chassis_files_outside_git_prevent_an_update(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copier would take them for deleted. The remedy that `chassis status` prints works."""
    append_line(project / ".gitignore", "paths.txt")
    git(project, "rm", "--cached", "--quiet", "chassis/paths.txt")
    commit(project, "Ignore")
    assert run("update") == 2
    assert "chassis/paths.txt: this chassis file is not in git (because of .gitignore:" in capsys.readouterr().err
    assert run("status") == 1
    command = capsys.readouterr().out.partition("; add it: ")[2].splitlines()[0]
    subprocess.run(["sh", "-c", command], cwd=project, check=True)
    commit(project, "Add it")
    assert run_json(capsys, "update")["conflicts"] == []


def test_nothing_is_written_through_a_link(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link in place of a chassis file is a conflict; `--discard-edits` replaces the link, not what it leads to."""
    (project / "docker").mkdir()
    (project / "docker/Dockerfile").write_text("FROM scratch\n")
    (project / "Dockerfile").unlink()
    (project / "Dockerfile").symlink_to("docker/Dockerfile")
    commit(project, "Our own image")
    assert run_json(capsys, "update", code=1)["conflicts"] == ["Dockerfile"]
    assert (project / "Dockerfile").is_symlink()
    assert run_json(capsys, "update", "--discard-edits")["conflicts"] == []
    assert not (project / "Dockerfile").is_symlink()
    assert (project / "Dockerfile").read_text().endswith("# The end of 1.1.0.\n")
    assert (project / "docker/Dockerfile").read_text() == "FROM scratch\n"


def test_a_linked_folder_prevents_an_update(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its content may be the team's. Without the link, the update works."""
    (project / "ops").rename(project / "operations")
    (project / "ops").symlink_to("operations")
    commit(project, "Move")
    for options in ((), ("--discard-edits",)):
        assert run("update", *options) == 2
        assert "ops: this is a symbolic link" in capsys.readouterr().err
    (project / "ops").rename(project / "link")
    commit(project, "Move it away")
    assert run("update") == 0


def test_an_added_file_that_a_release_brings_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a conflict; `--discard-edits` takes the template's version, and the team's stays in the history."""
    (project / "chassis/new.md").write_text("Ours.\n")
    append_line(project / ".gitignore", "new.md")
    commit(project, "Ignore")
    for options in ((), ("--discard-edits",)):
        assert run("update", *options) == 2
        refusal = capsys.readouterr().err
        assert "chassis/new.md: git does not know this file" in refusal
        assert (project / "chassis/new.md").read_text() == "Ours.\n"
    subprocess.run(["sh", "-c", refusal.split("`")[1]], cwd=project, check=True)
    commit(project, "Ours")
    assert run_json(capsys, "update", code=1)["conflicts"] == ["chassis/new.md"]
    assert (project / "chassis/new.md").read_text() == "Ours.\n"
    assert run_json(capsys, "update", "--discard-edits")["conflicts"] == []
    assert (project / "chassis/new.md").read_text() == "of 1.1.0\n"
    assert "Ours." in git(project, "log", "-p", "--", "chassis/new.md")


def test_a_deleted_chassis_file_can_be_restored(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that `chassis status` prints works before and after the deletion is committed."""
    for committed in (False, True):
        (project / "chassis/ruff.toml").unlink()
        if committed:
            commit(project, "Delete")
        assert run("status") == 1
        command = capsys.readouterr().out.partition("; restore it: ")[2].splitlines()[0]
        subprocess.run(["sh", "-c", command], cwd=project, check=True)
        if committed:
            commit(project, "Restore")
        assert run_json(capsys, "status")["missing"] == []


def test_sha256(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repository with the other object format is compared and updated, and an edit that cannot be merged is named."""
    project = shutil.copytree(pristine, tmp_path / "project", ignore=shutil.ignore_patterns(".git"))
    git(project, "init", "--quiet", "--object-format=sha256", "--initial-branch", "main")
    commit(project, "As generated")
    monkeypatch.chdir(project)
    assert run_json(capsys, "status")["edited"] == []
    assert run_json(capsys, "update")["updated"] == [
        *("Dockerfile", "chassis/README.md", "chassis/tools/src/chassis_tools/cli/template.py")
    ]


@pytest.fixture
def services(source: Path, tmp_path: Path) -> Path:
    """Return a repository with two services in folders."""
    top = tmp_path / "mono"
    top.mkdir()
    git(top, "init", "--quiet", "--initial-branch", "main")
    (top / "README.md").write_text("# Several services\n")
    for name in ("help", "triage"):
        generate_into(
            top / "services" / name, source, {"service_name": f"acme-{name}", "shape": "blank"}, vcs_ref="1.0.0"
        )
        assert run_in(top / "services" / name, "sync") == 0
    commit(top, "Two services")
    return top


def run_in(folder: Path, *arguments: str) -> int:
    """Run a command in a folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        return run(*arguments)


def test_a_service_in_a_folder(services: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is compared and updated alone, even from a hook of git, and CODEOWNERS starts at the top of the repository."""
    service, other = services / "services/help", services / "services/triage"
    assert "\n/services/help/chassis/ @" in (service / ".github/CODEOWNERS").read_text()
    capsys.readouterr()
    before = git(services, "rev-parse", "HEAD")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("GIT_DIR", str(services / ".git"))
        monkeypatch.setenv("GIT_WORK_TREE", str(services))
        assert run_in(service, "update", "--json") == 0
    update = json.loads(capsys.readouterr().out)
    assert (update["added"], update["conflicts"]) == (["chassis/new.md"], [])
    changed = git(services, "diff", "--name-only", before.strip(), "HEAD").splitlines()
    assert all(path.startswith("services/help/") for path in changed)
    assert not (other / "chassis/new.md").exists()

    append_line(other / "chassis/README.md", "Ours.")
    commit(services, "Edit the other one")
    assert run_in(other, "update", "--json") == 1
    assert json.loads(capsys.readouterr().out)["conflicts"] == ["chassis/README.md"]
    assert git(services, "status", "--porcelain") == ""


def test_a_record_elsewhere_is_updated(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next update starts from the release that this one has recorded."""
    project = generate_into(
        tmp_path / "project", source, {"shape": "blank"}, vcs_ref="1.0.0", answers_file=".copier/chassis.yml"
    )
    git(project, "init", "--quiet", "--initial-branch", "main")
    assert run_in(project, "sync") == 0
    commit(project, "As generated")
    capsys.readouterr()
    assert run_in(project, "update", "--json") == 0
    assert json.loads(capsys.readouterr().out)["new"] == "1.1.0"
    assert "_commit: 1.1.0\n" in (project / ".copier/chassis.yml").read_text()
    assert git(project, "status", "--porcelain") == ""


def test_a_plain_copier_update_can_be_taken_back(project: Path) -> None:
    """The message of Copier names the conflicts truly, and the command in it restores the repository."""
    (project / "chassis/new.md").write_text("Ours.\n")
    commit(project, "Ours")
    before = git(project, "rev-parse", "HEAD")
    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="1.1.0")
    assert "chassis/new.md" in git(project, "ls-files", "--unmerged")
    command = CONFIG["_message_after_update"].partition("undo this update with: ")[2].splitlines()[0]
    subprocess.run(["sh", "-c", command], cwd=project, check=True, capture_output=True)
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-parse", "HEAD") == before
    assert (project / "chassis/new.md").read_text() == "Ours.\n"
