"""The scripts that workflows call: their requests to the forge, and the input that they refuse."""

import os
import shutil
from pathlib import Path

import pytest
from act_runner import REPOSITORY, Forge, forge
from answer_sets import ROOT
from generated_project import commit, git
from shell import Shell
from workflows.test_runs import replace

CI = ROOT / "template/chassis/ci"
RUN = "https://forge.example/run/1"
APP = {"APP_TOKEN": "of an app"}


@pytest.fixture
def github(tmp_path: Path) -> Forge:
    """Return the simulated forge of a repository that contains only the scripts."""
    repository, scratch = tmp_path / "repository", tmp_path / "scratch"
    shutil.copytree(CI, repository / "chassis/ci")
    scratch.mkdir()
    environment = dict(os.environ) | {"RUN": RUN, "GIT_CONFIG_GLOBAL": os.devnull}
    return forge(Shell(repository, environment), scratch)


def report(github: Forge, text: str) -> str:
    """Report a text as an issue, and return the last request to the forge."""
    (github.scratch / "text").write_text(text, encoding="utf-8")
    github.shell.run("sh", "chassis/ci/issue", "update", "nightly", "It fails", str(github.scratch / "text"))
    return github.requests()[-1]


def test_an_issue_is_opened_updated_and_closed(github: Forge) -> None:
    """There is at most one issue about a subject, and none if there is no problem."""
    assert report(github, "").startswith("issue list")
    assert report(github, "live failed\n").startswith("issue create --title It fails")
    assert github.last_body() == "<!-- nightly -->\nlive failed\n"
    github.respond_to_searches("12\n")
    assert report(github, "newest failed\n").startswith("issue edit 12")
    assert github.last_body() == "<!-- nightly -->\nnewest failed\n"
    assert report(github, "").startswith("issue close 12")


def test_failed_jobs_are_listed_with_their_artifacts(github: Forge) -> None:
    """Skipped and successful jobs are not mentioned."""
    artifacts = github.scratch / "reports/nightly-live-canary"
    artifacts.mkdir(parents=True)
    (artifacts / "report.md").write_text("## Worse\n", encoding="utf-8")
    (artifacts / "log.txt").write_text("the end", encoding="utf-8")
    needs = '{"live": {"result": "failure"}, "newest": {"result": "success"}, "codeql": {"result": "skipped"}}'
    output = github.shell.run("sh", "-c", f"echo '{needs}' | sh chassis/ci/issue failures {github.scratch}/reports")
    assert output == f"## live failed\n\n[The run]({RUN})\n\n## Worse\n~~~text\nthe end\n~~~\n"
    assert (
        github.shell.run("sh", "-c", 'echo \'{"live": {"result": "success"}}\' | sh chassis/ci/issue failures .') == ""
    )


@pytest.mark.parametrize(("content", "code"), [("genuine", 7), ("forged", 1)])
def test_gitleaks_is_verified_before_it_runs(github: Forge, content: str, code: int) -> None:
    """An archive with a wrong checksum is not unpacked; otherwise the script exits with the code of gitleaks."""
    downloads = github.scratch / "downloads"
    downloads.mkdir()
    program = downloads / "gitleaks"
    program.write_text('#!/bin/sh\n[ "$*" = "git --redact --no-banner ." ] && exit 7\n', encoding="utf-8")
    program.chmod(0o755)
    github.shell.run("tar", "-czf", str(downloads / "archive"), "-C", str(downloads), "gitleaks")
    checksum = github.shell.run("sha256sum", str(downloads / "archive")).split()[0]
    if content == "genuine":
        replace(github.shell.folder / "chassis/ci/secrets", r"checksum=\w+", f"checksum={checksum}")
    curl = downloads / "curl"
    curl.write_text(f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\ncp {downloads}/archive "$2"\n', "utf-8")
    curl.chmod(0o755)
    shell = github.shell.with_variables(PATH=f"{downloads}{os.pathsep}{github.shell.environment['PATH']}")
    assert shell.try_run("sh", "chassis/ci/secrets").returncode == code


UPDATE_SCRIPTS = {
    "current": "echo nothing to do",
    "stuck": "echo 'chassis/README.md was edited'; exit 1",
    "clean": "echo 2 >chassis/release; git add --all; git commit --quiet --no-verify -m Update; echo From 1 to 2",
}
"""By outcome, a script that stands for `chassis update`."""
UNREAD_CHANGES = [
    "mkdir -p .github/workflows; echo 'on: push' >.github/workflows/steal.yml",
    "echo 'on: push' >.github/workflows/check.yml",
    "echo '      uses: acme/evil@v1' >>.github/workflows/check.yml",
    "rm .github/workflows/check.yml",
    "mkdir -p .github/actions/setup; echo runs >.github/actions/setup/action.yml",
    "echo '* @stranger' >.github/CODEOWNERS",
    "echo 'chassis src/' >chassis/paths.txt; echo 'import os' >src/task.py",
    "git mv src/task.py src/other.py",
    "echo evil >conftest.py",
    "ln -s /etc/passwd chassis/link",
    "git clone --quiet . chassis/module",
    "mkdir -p 'chassis x'; echo evil >'chassis x/é'",
    "git checkout --quiet --orphan other",
]
"""What the job that runs unreviewed code may have put into the commits, and the job with the token must not push."""


def try_update(github: Forge, update: str, checks: str) -> str:
    """Run `template-update try` with a script for the update and one for the checks, and return its output."""
    root = github.shell.folder
    (root / "chassis/uv").write_text(f"set -e\n{update}\n", encoding="utf-8")
    (root / "Makefile").write_text(f"setup check evals:\n\t@{checks}\n", encoding="utf-8")
    for path, text in {"chassis/paths.txt": "chassis chassis/\nyours *\n", "src/task.py": "", "uv.lock": "1\n"}.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / ".github/workflows").mkdir(parents=True, exist_ok=True)
    (root / ".github/workflows/check.yml").write_text("on: pull_request\n", encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch", "main")
    commit(root, "As it is")
    git(root, "tag", "before")
    return github.shell.run("sh", "chassis/ci/template-update", "try", str(github.scratch / "update")).strip()


@pytest.mark.parametrize("outcome", UPDATE_SCRIPTS)
def test_the_outcome_of_an_update(github: Forge, outcome: str) -> None:
    """It follows from the exit code and the commits of the update; commits are bundled only if the update is clean."""
    assert try_update(github, UPDATE_SCRIPTS[outcome], "true") == f"outcome={outcome}"
    assert (github.scratch / "update/update.bundle").exists() == (outcome == "clean")


def test_an_update_that_breaks_the_checks_is_stuck(github: Forge) -> None:
    """The report contains the end of the log."""
    assert try_update(github, UPDATE_SCRIPTS["clean"], "echo Two tests fail; false") == "outcome=stuck"
    assert "Two tests fail" in (github.scratch / "update/update.md").read_text(encoding="utf-8")


def propose(github: Forge, outcome: str, **variables: str) -> None:
    """Run `template-update propose` on the former commit, as the job with the token does."""
    git(github.shell.folder, "switch", "--quiet", "--detach", "before")
    shell = github.shell.with_variables(GITHUB_REPOSITORY=REPOSITORY, **variables)
    shell.run("sh", "chassis/ci/template-update", "propose", str(github.scratch / "update"), outcome)


def test_without_a_token_an_issue_is_opened(github: Forge) -> None:
    """It contains the command to run."""
    try_update(github, UPDATE_SCRIPTS["clean"], "true")
    propose(github, "clean")
    assert github.requests()[-1].startswith("issue create --title Update the chassis")
    assert "To apply it, run: uv run chassis update" in github.last_body()


def propose_to_remote(github: Forge) -> Path:
    """Run `template-update propose` with a token, and return the repository that it may push to."""
    remote = github.scratch / "remote.git"
    git(github.scratch, "init", "--quiet", "--bare", str(remote))
    redirect = {
        "GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{REPOSITORY}.git",
    }
    propose(github, "clean", **APP, GIT_CONFIG_COUNT="1", **redirect)
    return remote


def test_with_a_token_a_pull_request_is_opened(github: Forge) -> None:
    """It contains the commits that were checked."""
    try_update(github, f"echo 2 >uv.lock; {UPDATE_SCRIPTS['clean']}", "true")
    remote = propose_to_remote(github)
    assert any(call.startswith("pr create --head template-update") for call in github.requests())
    assert git(remote, "log", "--format=%s", "template-update").split("\n")[0] == "Update"
    assert git(remote, "show", "template-update:chassis/release") == "2\n"


@pytest.mark.parametrize("change", UNREAD_CHANGES)
def test_unread_changes_are_not_pushed(github: Forge, change: str) -> None:
    """An issue lists them, whatever else the update contains."""
    try_update(github, f"{change}; {UPDATE_SCRIPTS['clean']}", "true")
    remote = propose_to_remote(github)
    assert git(remote, "branch", "--list") == ""
    assert not any(call.startswith("pr ") for call in github.requests())
    assert "Read these changes before you push them:\n\n- " in github.last_body()


def test_a_stuck_update_opens_an_issue(github: Forge) -> None:
    """It contains the reason."""
    try_update(github, UPDATE_SCRIPTS["stuck"], "true")
    propose(github, "stuck", **APP)
    assert "chassis/README.md was edited" in github.last_body()
    assert not any(call.startswith("pr ") for call in github.requests())


def test_an_unknown_outcome_is_refused(github: Forge) -> None:
    """The job that tries the update runs new code, so its output is not trusted."""
    try_update(github, UPDATE_SCRIPTS["current"], "true")
    done = github.shell.try_run("sh", "chassis/ci/template-update", "propose", str(github.scratch / "update"), "fine")
    assert (done.returncode, github.requests()) == (2, [])
