"""The workflows run on this machine: they pass on a fresh project and fail on each fault that they should detect."""

import json
import re
from pathlib import Path

import pytest
from act_runner import REPOSITORY, Forge
from generated_project import git
from shell import Shell

pytestmark = pytest.mark.slow

PULL_REQUEST = {"pull_request": {"number": 7, "head": {"ref": "topic", "repo": {"full_name": REPOSITORY}}}}
FORK_PULL_REQUEST = {
    "pull_request": {"number": 8, "head": {"ref": "topic", "repo": {"full_name": "stranger/acme-help"}}}
}
COMMENTS = f"repos/{REPOSITORY}/issues/7/comments"


def test_a_fresh_project_passes_the_checks(github: Forge) -> None:
    """The workflow sets up its own environment and runs the same commands as a developer."""
    done = github.run_workflow("check.yml", "push")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


FAULTS = [
    ("src/acme_help/task.py", r"\Z", "import os\n", "F401"),
    ("ownership.toml", r'handle = "@acme/ai"', 'handle = "@acme/others"', "diff --git a/.github/CODEOWNERS"),
    ("pyproject.toml", r'(    "ai-service-chassis.*\n)', r'\1    "structlog>=26.1",\n', "needs to be updated"),
]
"""A file, a pattern in it, its replacement, and a text in the log."""


@pytest.mark.parametrize(("file", "pattern", "replacement", "logged"), FAULTS, ids=["lint", "drift", "lock"])
def test_a_fault_fails_the_checks(github: Forge, file: str, pattern: str, replacement: str, logged: str) -> None:
    """The step that detects the fault fails."""
    replace(github.shell.folder / file, pattern, replacement)
    done = github.run_workflow("check.yml", "push")
    assert done.returncode == 1, done.stdout
    assert logged in done.stdout + done.stderr


def test_a_stale_sign_off_fails_the_checks(github: Forge) -> None:
    """A sign-off for one model is void for another, and the log shows what changed."""
    record = ("signoffs", "record", "procurement", "--approver", "Ada Lovelace", "--decision", "approved")
    github.shell.run("sh", "chassis/uv", "run", "--frozen", "chassis", *record)
    replace(github.shell.folder / "constraints.toml", r"gpt-5.4-mini-2026-03-17", "gpt-5.4-2026-03-05")
    done = github.run_workflow("check.yml", "push")
    assert done.returncode == 1, done.stdout
    assert "chassis signoffs request procurement" in done.stdout + done.stderr


def test_the_hooks_change_nothing(github: Forge) -> None:
    """On a fresh project every hook passes, and no file changes."""
    for _ in range(2):
        output = github.shell.run("sh", "chassis/uv", "run", "--frozen", "pre-commit", "run", "--all-files")
        assert "Failed" not in output
        assert git(github.shell.folder, "status", "--porcelain") == ""


def test_a_fresh_project_passes_the_evaluation(github: Forge) -> None:
    """The report is posted as a comment."""
    done = github.run_workflow("evals.yml", "pull_request", **PULL_REQUEST)
    assert done.returncode == 0, done.stdout
    assert "POST " + COMMENTS in github.requests()[-1]
    assert github.last_body().startswith("<!-- evals -->\n## ✅ Evaluation of acme-help")


def test_a_regression_fails_the_evaluation(github: Forge) -> None:
    """Without its search the service refers every question; the existing comment is updated."""
    github.respond_to_searches("4711\n")
    replace(github.shell.folder / "src/acme_help/search.py", r"Search\(passages,", "Search([],")
    done = github.run_workflow("evals.yml", "pull_request", **PULL_REQUEST)
    assert done.returncode == 1
    assert "Failure - Main Evaluate" in done.stdout
    assert f"PATCH repos/{REPOSITORY}/issues/comments/4711" in github.requests()[-1]
    assert github.last_body().startswith("<!-- evals -->\n## ❌ Evaluation of acme-help")


MAKEFILE_LINES = ("RUN := true", "UV := true", "evals:\n\t@true", "override RUN = true", "SHELL := true")
"""Each can only hide a regression, and none undoes what another hides: they are tried at once."""


def test_the_makefile_cannot_hide_a_regression(github: Forge) -> None:
    """The workflow takes its targets from the chassis; a report of an earlier run does not count."""
    replace(github.shell.folder / "src/acme_help/search.py", r"Search\(passages,", "Search(passages[:1],")
    replace(github.shell.folder / "Makefile", r"\Z", "\n".join([*MAKEFILE_LINES, ""]))
    team = github.shell.try_run("make", "evals")
    assert team.returncode == 0, team.stderr
    (github.shell.folder / "var/evals").mkdir(parents=True, exist_ok=True)
    (github.shell.folder / "var/evals/report.md").write_text("all well\n", encoding="utf-8")
    done = github.run_workflow("evals.yml", "pull_request", **PULL_REQUEST)
    assert done.returncode == 1
    assert "Failure - Main Evaluate" in done.stdout


def test_the_sbom_describes_the_image(pushed: Shell, tmp_path: Path) -> None:
    """It lists what the Dockerfile installs; only packages for other platforms are listed without being installed."""
    shell = pushed.with_variables(UV_PROJECT_ENVIRONMENT=str(tmp_path / "image"), UV_NO_DEV="1")
    dockerfile = (pushed.folder / "Dockerfile").read_text(encoding="utf-8")
    for options in re.findall(r"uv sync(.*?)(?: && |$)", dockerfile.replace("\\\n", ""), re.MULTILINE):
        shell.run("sh", "chassis/uv", "sync", "--quiet", *options.split())
    python = str(tmp_path / "image/bin/python")
    installed = {
        line.split("==")[0] for line in shell.run("sh", "chassis/uv", "pip", "freeze", "--python", python).splitlines()
    }
    shell.run("make", "--file", "chassis/tasks.mk", "sbom")
    listed = json.loads((pushed.folder / "sbom.cdx.json").read_text(encoding="utf-8"))["components"]
    (pushed.folder / "sbom.cdx.json").unlink()
    names = {component["name"] for component in listed}
    assert "asyncpg" in installed
    assert {name for name in installed if "://" not in name and not name.startswith("-e")} <= names
    assert {"ai-service-chassis-tools", "pytest", "ruff", "packaging", "zizmor"}.isdisjoint(names)


def test_an_evaluation_that_cannot_run_is_reported(github: Forge) -> None:
    """A comment with an earlier result is replaced even if the evaluation cannot run."""
    replace(github.shell.folder / "evals/suites.toml", r'kind = "replay"', 'kind = "reply"')
    done = github.run_workflow("evals.yml", "pull_request", **PULL_REQUEST)
    assert done.returncode == 1
    assert "No evaluation" in github.last_body()


def test_a_fork_is_evaluated_without_secrets(github: Forge) -> None:
    """The report is on the page of the run, and there is no comment."""
    done = github.run_workflow("evals.yml", "pull_request", **FORK_PULL_REQUEST)
    assert done.returncode == 0, done.stdout
    assert "Success - Main Evaluate" in done.stdout
    assert "## ✅ Evaluation of acme-help" in done.stdout
    assert github.requests() == []


def replace(file: Path, pattern: str, replacement: str) -> None:
    """Replace what a pattern matches in a file; it must match."""
    text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count
    file.write_text(text, encoding="utf-8")
