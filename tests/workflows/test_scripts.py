"""The scripts that workflows call: what they tell the forge, and what they refuse."""

import os
import shutil
from pathlib import Path

import pytest
from act_runner import REPOSITORY, Forge, forge
from answer_sets import ROOT
from generated_project import commit, git
from shell import Shell
from workflows.test_runs import spoil

CI = ROOT / "template/chassis/ci"
RUN = "https://forge.example/run/1"
APP = {"APP_TOKEN": "of an app"}


@pytest.fixture
def github(tmp_path: Path) -> Forge:
    """Return the forge of an empty repository that has the scripts."""
    repository, scratch = tmp_path / "repository", tmp_path / "scratch"
    shutil.copytree(CI, repository / "chassis/ci")
    scratch.mkdir()
    environment = dict(os.environ) | {"RUN": RUN, "GIT_CONFIG_GLOBAL": os.devnull}
    return forge(Shell(repository, environment), scratch)


def tell(github: Forge, text: str) -> str:
    """Keep an issue with this text, and return the last thing that the forge was asked."""
    (github.scratch / "text").write_text(text, encoding="utf-8")
    github.shell.runs("sh", "chassis/ci/issue", "nightly", "It fails", str(github.scratch / "text"))
    return github.asked()[-1]


def test_an_issue_is_opened_once_renewed_and_closed(github: Forge) -> None:
    """There is never a second one about the same, and none when all is well."""
    assert tell(github, "").startswith("issue list")
    assert tell(github, "live failed\n").startswith("issue create --title It fails")
    assert github.told() == "<!-- nightly -->\nlive failed\n"
    github.knows("12\n")
    assert tell(github, "newest failed\n").startswith("issue edit 12")
    assert github.told() == "<!-- nightly -->\nnewest failed\n"
    assert tell(github, "").startswith("issue close 12")


def test_failures_are_told_with_what_was_left_behind(github: Forge) -> None:
    """A skipped or successful job is not mentioned."""
    left = github.scratch / "reports/nightly-live-canary"
    left.mkdir(parents=True)
    (left / "report.md").write_text("## Worse\n", encoding="utf-8")
    (left / "log.txt").write_text("the end", encoding="utf-8")
    needs = '{"live": {"result": "failure"}, "newest": {"result": "success"}, "codeql": {"result": "skipped"}}'
    told = github.shell.runs("sh", "-c", f"echo '{needs}' | sh chassis/ci/failures {github.scratch}/reports")
    assert told == f"## live failed\n\n[The run]({RUN})\n\n## Worse\n~~~text\nthe end\n~~~\n"
    assert github.shell.runs("sh", "-c", 'echo \'{"live": {"result": "success"}}\' | sh chassis/ci/failures .') == ""


@pytest.mark.parametrize(("content", "code"), [("genuine", 7), ("forged", 1)])
def test_secrets_are_sought_by_the_genuine_program_only(github: Forge, content: str, code: int) -> None:
    """An archive with another checksum is not unpacked; the exit code of the genuine one is the script's."""
    fetched = github.scratch / "fetched"
    fetched.mkdir()
    program = fetched / "gitleaks"
    program.write_text('#!/bin/sh\n[ "$*" = "git --redact --no-banner ." ] && exit 7\n', encoding="utf-8")
    program.chmod(0o755)
    github.shell.runs("tar", "-czf", str(fetched / "archive"), "-C", str(fetched), "gitleaks")
    checksum = github.shell.runs("sha256sum", str(fetched / "archive")).split()[0]
    if content == "genuine":
        spoil(github.shell.folder / "chassis/ci/secrets", r"checksum=\w+", f"checksum={checksum}")
    curl = fetched / "curl"
    curl.write_text(f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\ncp {fetched}/archive "$2"\n', "utf-8")
    curl.chmod(0o755)
    there = github.shell.knowing(PATH=f"{fetched}{os.pathsep}{github.shell.environment['PATH']}")
    assert there.tries("sh", "chassis/ci/secrets").returncode == code


UPDATES = {
    "current": "echo nothing to do",
    "stuck": "echo 'chassis/README.md was edited'; exit 1",
    "clean": "echo 2 >chassis/release; git add --all; git commit --quiet --no-verify -m Update; echo From 1 to 2",
}
"""What `chassis update` does, by the outcome."""


def try_update(github: Forge, does: str, checks: str) -> str:
    """Try an update that does so, followed by checks that end so, and return the outcome."""
    root = github.shell.folder
    (root / "chassis/uv").write_text(f"set -e\n{does}\n", encoding="utf-8")
    (root / "Makefile").write_text(f"setup check evals:\n\t@{checks}\n", encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch", "main")
    commit(root, "As it is")
    return github.shell.runs("sh", "chassis/ci/template-update", "try", str(github.scratch / "update")).strip()


@pytest.mark.parametrize("outcome", UPDATES)
def test_an_update_is_tried(github: Forge, outcome: str) -> None:
    """The outcome is that of the command, and its words become the text."""
    assert try_update(github, UPDATES[outcome], "true") == f"outcome={outcome}"
    assert (github.scratch / "update/update.bundle").exists() == (outcome == "clean")


def test_an_update_that_breaks_the_checks_is_stuck(github: Forge) -> None:
    """The end of the log is part of what there is to say."""
    assert try_update(github, UPDATES["clean"], "echo Two tests fail; false") == "outcome=stuck"
    assert "Two tests fail" in (github.scratch / "update/update.md").read_text(encoding="utf-8")


def propose(github: Forge, outcome: str, **variables: str) -> None:
    """Say what became of the trial, as the job does that may write."""
    git(github.shell.folder, "switch", "--quiet", "--detach", git(github.shell.folder, "rev-list", "HEAD").split()[-1])
    shell = github.shell.knowing(GITHUB_REPOSITORY=REPOSITORY, **variables)
    shell.runs("sh", "chassis/ci/template-update", "propose", str(github.scratch / "update"), outcome)


def test_without_a_token_an_update_is_an_issue(github: Forge) -> None:
    """It says which command to type."""
    try_update(github, UPDATES["clean"], "true")
    propose(github, "clean")
    assert github.asked()[-1].startswith("issue create --title Update the chassis")
    assert "To apply it, run: uv run chassis update" in github.told()


def test_with_a_token_an_update_is_a_pull_request(github: Forge) -> None:
    """The commits are pushed as they were tried, and a pull request is opened."""
    try_update(github, UPDATES["clean"], "true")
    remote = github.scratch / "remote.git"
    git(github.scratch, "init", "--quiet", "--bare", str(remote))
    instead = {
        "GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{REPOSITORY}.git",
    }
    propose(github, "clean", **APP, GIT_CONFIG_COUNT="1", **instead)
    assert any(call.startswith("pr create --head template-update") for call in github.asked())
    assert git(remote, "log", "--format=%s", "template-update").split("\n")[0] == "Update"
    assert git(remote, "show", "template-update:chassis/release") == "2\n"


def test_a_stuck_update_is_an_issue(github: Forge) -> None:
    """It lists what is in the way."""
    try_update(github, UPDATES["stuck"], "true")
    propose(github, "stuck", **APP)
    assert "chassis/README.md was edited" in github.told()
    assert not any(call.startswith("pr ") for call in github.asked())


def test_an_unknown_outcome_is_refused(github: Forge) -> None:
    """The trial may run foreign code, so its word is not taken for more than it is."""
    try_update(github, UPDATES["current"], "true")
    done = github.shell.tries("sh", "chassis/ci/template-update", "propose", str(github.scratch / "update"), "fine")
    assert (done.returncode, github.asked()) == (2, [])
