"""`chassis status` and `chassis update` in a repository that was generated from an older release."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from answer_sets import CONFIG
from chassis_tools.updates.copier import COPIER
from cli_runner import run, run_json
from generated_project import commit, git
from template_releases import append_line, generate_repository, tag_release, template_repository, working_copy

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_copier_on_path")]

CHANGES = """
[[changes]]
since = "1.1.0"
what = "Everyone is greeted."
keep = "greeting = false"
[[changes]]
since = "1.1.0"
what = "Blank is white."
keep = "paper = 'grey'"
answers = { shape = ["blank"] }
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with two releases: the second changes, adds and removes a file, and changes its behavior."""
    source = template_repository(tmp_path_factory.mktemp("updates") / "template")
    chassis = source / "template/chassis"
    (chassis / "gone.txt").write_text("of 1.0.0\n")
    tag_release(source, "1.0.0")
    (chassis / "gone.txt").unlink()
    (chassis / "new.txt").write_text("of 1.1.0\n")
    (source / "template/later.yaml").write_text("of: 1.1.0\n")
    paths = chassis / "paths.txt"
    paths.write_text(paths.read_text().replace("yours   *", "chassis later.yaml\nyours   *"))
    append_line(chassis / "README.md", "The end of 1.1.0.")
    append_line(chassis / "changes.toml", CHANGES)
    tag_release(source, "1.1.0")
    return source


@pytest.fixture(scope="module")
def pristine(source: Path) -> Path:
    """Return a repository of the first release."""
    return generate_repository(source, "1.0.0", source.parent / "pristine")


@pytest.fixture
def project(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of that repository, as the working directory."""
    return working_copy(pristine, tmp_path / "project", monkeypatch)


@pytest.mark.usefixtures("project")
def test_status_of_an_untouched_repository(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A newer release is a fault only with `--newest`, and only those changes are shown that affect the repository."""
    status = run_json(capsys, "status")
    assert (status["version"], status["newest"], status["commits_behind"]) == ("1.0.0", "1.1.0", 1)
    assert status["source"] == str(source)
    assert status["ok"] is True
    assert [change["what"] for change in status["changes"]] == ["Everyone is greeted."]

    assert run("status", "--newest") == 1
    assert run("status") == 0
    assert "to keep the former behavior: greeting = false" in capsys.readouterr().out


def replace(file: Path, old: str, new: str) -> None:
    """Replace a text in a file; it must be there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def exempt_the_guard(project: Path) -> None:
    """Edit a file of the guard, and claim in the answers file that the team keeps its own."""
    append_line(project / "chassis/src/chassis/guard/redact.py", "# ours")
    append_line(project / ".copier-answers.yml", "kept_paths: [chassis/src/chassis/guard/redact.py]")


def switch_the_forge(project: Path) -> None:
    """Edit a workflow, and claim that the repository is on another forge."""
    append_line(project / ".github/workflows/check.yml", "# ours")
    replace(project / ".copier-answers.yml", "forge: github", "forge: gitlab")


def shadow_a_module(project: Path) -> None:
    """Add a package that Python imports instead of a module of the same name."""
    package = project / "chassis/src/chassis/guard/redact"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(project, "add", "--all")


EDITS: dict[str, Callable[[Path], None]] = {
    "redaction": lambda project: replace(
        project / "chassis/src/chassis/guard/redact.py", "if not self.finder.kinds:", "if True:"
    ),
    "tools": lambda project: append_line(project / "chassis/tools/src/chassis_tools/cli/ready.py", "# ours"),
    "targets": lambda project: replace(project / "chassis/tasks.mk", "ruff check .", "true"),
    "workflow": lambda project: append_line(project / ".github/workflows/release.yml", "# ours"),
    "image": lambda project: append_line(project / "Dockerfile", "USER root"),
    "alerts": lambda project: append_line(project / "ops/alerts.yaml", "# ours"),
    "deleted": lambda project: (project / "chassis/ci/secrets").unlink(),
    "shadowed": shadow_a_module,
    "exempted": exempt_the_guard,
    "other forge": switch_the_forge,
}
"""Ways to edit the chassis. Sizes and times of the files may stay the same."""


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_the_chassis_is_red(project: Path, edit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`chassis verify`, which `make check` runs, and the launch review compare the chassis with its release."""
    assert run("verify", "--allow-unknown") == 0
    EDITS[edit](project)
    assert run("verify", "--allow-unknown") == 1
    assert "differs from release 1.0.0 of the template" in capsys.readouterr().err
    assert run_json_of_check("DLV106", capsys)["status"] == "fail"


def run_json_of_check(check: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what the launch review says about one check."""
    capsys.readouterr()
    run("ready", "--json")
    return next(entry for entry in json.loads(capsys.readouterr().out)["checks"] if entry["id"] == check)


def test_the_template_out_of_reach(project: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was compared before is remembered; without that the chassis is unknown, which blocks a release."""
    answers = project / ".copier-answers.yml"
    assert run("verify") == 0
    source.rename(source.with_name("elsewhere"))
    try:
        assert run("verify") == 0
        append_line(project / "chassis/tasks.mk", "# ours")
        assert run("verify") == 1
        assert run_json_of_check("DLV106", capsys)["status"] == "unknown"
    finally:
        source.with_name("elsewhere").rename(source)
    for old, new in (("_commit: 1.0.0", "_commit: 9.9.9"), (f"_src_path: {source}", "_src_path: /nowhere")):
        replace(answers, old, new)
        assert (run("verify"), run("verify", "--allow-unknown")) == (3, 0)
        assert "The chassis was not compared with its release" in capsys.readouterr().err
        assert run_json_of_check("DLV106", capsys)["status"] == "unknown"


def test_the_launch_review_trusts_no_memory(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code of the team that ran since may have changed what was remembered."""
    guard = project / "chassis/src/chassis/guard/redact.py"
    assert run("verify") == 0
    remembered = project / ".git/chassis-release.json"
    before = git(project, "hash-object", str(guard)).strip()
    append_line(guard, "# ours")
    replace(remembered, before, git(project, "hash-object", str(guard)).strip())
    assert run("verify") == 0
    assert run_json_of_check("DLV106", capsys)["status"] == "fail"


def test_a_file_that_the_team_keeps_is_not_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, because it is not that of the release."""
    append_line(project / "Dockerfile", "# ours")
    append_line(project / ".copier-answers.yml", "kept_paths: [Dockerfile]")
    assert run("verify") == 0
    check = run_json_of_check("DLV106", capsys)
    assert check["status"] == "pass"
    assert check["evidence"].endswith("; yours instead: Dockerfile")


def test_status_names_every_problem(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edited, a missing and an added chassis file, an outdated derived file, and an invalid key."""
    append_line(project / ".pre-commit-config.yaml", "# ours")
    (project / "chassis/tasks.mk").unlink()
    (project / "chassis/ours.py").write_text("")
    git(project, "add", "chassis/ours.py")
    (project / "catalog-info.yaml").unlink()

    status = run_json(capsys, "status", code=1)
    assert (status["edited"], status["missing"], status["added"]) == (
        [".pre-commit-config.yaml"],
        ["chassis/tasks.mk"],
        ["chassis/ours.py"],
    )
    assert status["out_of_date"] == ["catalog-info.yaml"]

    constraints = project / "constraints.toml"
    constraints.write_text(constraints.read_text().replace("due_hours", "due_days"))
    status = run_json(capsys, "status", "--offline", code=1)
    assert status["config_errors"] == [
        "constraints.toml: review.due_days: unknown key (value 8). Did you mean due_hours?"
    ]


def test_line_endings_are_not_an_edit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkout with CRLF, as git makes it on Windows, does not count as edited."""
    git(project, "config", "core.autocrlf", "true")
    readme = project / "chassis/README.md"
    readme.write_bytes(readme.read_bytes().replace(b"\n", b"\r\n"))

    assert run_json(capsys, "status")["edited"] == []


def test_an_unreachable_template(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is unknown is not reported as good, and `--newest` fails because it needs to know."""
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("/template\n", "/elsewhere\n"))

    status = run_json(capsys, "status")
    assert status["newest"] is status["behind"] is status["edited"] is None
    assert "the template cannot be reached" in str(status["upstream_error"])
    assert run("status", "--newest") == 3
    assert "Whether chassis files were edited is unknown" in capsys.readouterr().out
    assert run("update") == 2
    assert "the template cannot be reached" in capsys.readouterr().err


def test_update(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The update is one commit on a branch, the result lists every file, and the undo command takes it back."""
    before = git(project, "rev-parse", "main")
    (project / ".github/workflows/evals.yml").unlink()
    commit(project, "We evaluate elsewhere")

    update = run_json(capsys, "update")
    assert (update["old"], update["new"], update["conflicts"]) == ("1.0.0", "1.1.0", [])
    assert update["updated"] == ["chassis/README.md", "chassis/changes.toml", "chassis/paths.txt"]
    assert (update["added"], update["removed"]) == (["chassis/new.txt", "later.yaml"], ["chassis/gone.txt"])
    assert update["still_deleted"] == [".github/workflows/evals.yml"]
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "log", "-1", "--format=%s") == "Update the chassis from 1.0.0 to 1.1.0\n"
    status = run_json(capsys, "status")
    assert (status["version"], status["behind"], status["ok"]) == ("1.1.0", False, True)

    for command in str(update["undo_command"]).split(" && "):
        git(project, *command.split()[1:])
    assert git(project, "branch", "--format=%(refname:short)") == "main\n"
    assert git(project, "rev-parse", "main~1") == before
    assert run_json(capsys, "status")["version"] == "1.0.0"


def test_workflows_of_the_other_forge_are_ignored(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On GitLab the GitHub workflows are neither missing nor edited, and an update does not add or mention them."""
    project = generate_repository(source, "1.0.0", tmp_path / "project", forge="gitlab")
    mirror = project / ".github/workflows/check.yml"
    mirror.parent.mkdir(parents=True)
    mirror.write_text("on: push\n")
    commit(project, "A mirror checks too")
    monkeypatch.chdir(project)

    assert run_json(capsys, "status")["edited"] == []
    update = run_json(capsys, "update")
    assert (update["still_deleted"], update["kept_paths"]) == ([], [])
    assert update["added"] == ["chassis/new.txt", "later.yaml"]
    assert mirror.read_text() == "on: push\n"


def test_a_conflict_prevents_the_whole_update(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing changes; with `--discard-edits` the update succeeds, and the edits stay in the history."""
    append_line(project / "chassis/README.md", "Our last line.")
    append_line(project / "chassis/gone.txt", "Our last line.")
    commit(project, "Edit the chassis")
    before = git(project, "rev-parse", "HEAD")

    assert run_json(capsys, "update", code=1)["conflicts"] == ["chassis/README.md", "chassis/gone.txt"]
    assert git(project, "rev-parse", "HEAD") == before
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "branch", "--format=%(refname:short)") == "main\n"
    assert run_json(capsys, "status", code=1)["version"] == "1.0.0"

    assert run_json(capsys, "update", "--discard-edits")["conflicts"] == []
    assert "Our last line." not in (project / "chassis/README.md").read_text()
    assert "Our last line." in git(project, "log", "-p", "-2", "chassis/README.md")
    assert run_json(capsys, "status")["edited"] == []


def test_an_edit_without_conflict_is_merged(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The edit stays, is listed for review and still counts as edited; an existing file is kept as the team's."""
    (project / "later.yaml").write_text("ours: for years\n")
    readme = project / "chassis/README.md"
    readme.write_text("Our first line.\n\n" + readme.read_text())
    commit(project, "Edit the chassis")

    update = run_json(capsys, "update")
    assert (update["merged"], update["kept_paths"]) == (["chassis/README.md"], ["later.yaml"])
    assert (project / "later.yaml").read_text() == "ours: for years\n"
    assert readme.read_text().startswith("Our first line.")
    assert readme.read_text().endswith("The end of 1.1.0.\n")
    assert run_json(capsys, "status", code=1)["edited"] == ["chassis/README.md"]


def test_an_update_needs_a_clean_tree_and_a_branch(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Uncommitted files are named even if git is configured to hide them, and nothing is changed."""
    git(project, "config", "status.showUntrackedFiles", "no")
    (project / "notes.txt").write_text("unfinished\n")
    assert run("update") == 2
    assert capsys.readouterr().err == (
        "the working tree: uncommitted changes in notes.txt. "
        "Commit them or run `git stash --include-untracked`, then try again\n"
    )
    (project / "notes.txt").unlink()
    git(project, "branch", "chassis-1.1.0")
    assert run("update") == 2
    assert "Merge it or delete it: git branch -D chassis-1.1.0" in capsys.readouterr().err
    git(project, "switch", "--quiet", "--detach")
    assert run("update") == 2
    assert "Check one out, such as `git switch main`" in capsys.readouterr().err


def test_a_failure_of_copier_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that Copier wrote before it failed are removed again."""
    fake = project.parent / "bin"
    fake.mkdir()
    (fake / "copier").write_text("#!/bin/sh\necho half >half.txt; echo >>README.md; echo 'No luck.' >&2; exit 1\n")
    (fake / "copier").chmod(0o755)
    monkeypatch.setenv("PATH", str(fake), prepend=":")

    assert run("update") == 2
    assert capsys.readouterr().err == "copier update: No luck. Nothing was changed; fix this, then try again\n"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "branch", "--format=%(refname:short)") == "main\n"


def test_the_copier_version_matches_the_template() -> None:
    """The Copier that `chassis update` installs can read `copier.yml`."""
    assert COPIER.startswith(f"copier>={CONFIG['_min_copier_version']}")
