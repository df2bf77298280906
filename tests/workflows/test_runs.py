"""The workflows that judge a change are run: green on a fresh project, red on each fault that they are there for."""

import re
from pathlib import Path

import pytest
from act_runner import REPOSITORY, Forge
from generated_project import git

pytestmark = pytest.mark.slow

MINE = {"pull_request": {"number": 7, "head": {"ref": "topic", "repo": {"full_name": REPOSITORY}}}}
A_FORKS = {"pull_request": {"number": 8, "head": {"ref": "topic", "repo": {"full_name": "stranger/acme-help"}}}}
COMMENTS = f"repos/{REPOSITORY}/issues/7/comments"


def test_a_fresh_project_passes_the_checks(github: Forge) -> None:
    """The same commands as on a person's machine, in an environment that the workflow makes."""
    done = github.runs("check.yml", "push")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


FAULTS = [
    ("src/acme_help/task.py", r"\Z", "import os\n", "F401"),
    ("ownership.toml", r'handle = "@acme/ai"', 'handle = "@acme/others"', "diff --git a/.github/CODEOWNERS"),
    ("pyproject.toml", r'(    "chassis.*\n)', r'\1    "structlog>=26.1",\n', "needs to be updated"),
]
"""A file, what is replaced in it by what, and what the log says."""


@pytest.mark.parametrize(("file", "part", "instead", "says"), FAULTS, ids=["lint", "drift", "lock"])
def test_a_fault_fails_the_checks(github: Forge, file: str, part: str, instead: str, says: str) -> None:
    """The step that is about the fault stops the run."""
    spoil(github.shell.folder / file, part, instead)
    done = github.runs("check.yml", "push")
    assert done.returncode == 1, done.stdout
    assert says in done.stdout + done.stderr


def test_a_stale_sign_off_fails_the_checks(github: Forge) -> None:
    """Procurement signed for one model; with another the signature is void, and the log says what changed."""
    signed = ("signoffs", "record", "procurement", "--approver", "Ada Lovelace", "--decision", "approved")
    github.shell.runs("sh", "chassis/uv", "run", "--frozen", "chassis", *signed)
    spoil(github.shell.folder / "constraints.toml", r"gpt-5.4-mini-2026-03-17", "gpt-5.4-2026-03-05")
    done = github.runs("check.yml", "push")
    assert done.returncode == 1, done.stdout
    assert "chassis signoffs request procurement" in done.stdout + done.stderr


def test_the_hooks_change_nothing(github: Forge) -> None:
    """Run twice, every hook passes, and not a byte of a fresh project is another one."""
    for _ in range(2):
        told = github.shell.runs("sh", "chassis/uv", "run", "--frozen", "pre-commit", "run", "--all-files")
        assert "Failed" not in told
        assert git(github.shell.folder, "status", "--porcelain") == ""


def test_a_fresh_project_passes_the_evaluation(github: Forge) -> None:
    """The report becomes a comment."""
    done = github.runs("evals.yml", "pull_request", **MINE)
    assert done.returncode == 0, done.stdout
    assert "POST " + COMMENTS in github.asked()[-1]
    assert github.told().startswith("<!-- evals -->\n## ✅ Evaluation of acme-help")


def test_a_regression_fails_the_evaluation(github: Forge) -> None:
    """Without its search the service refers every question; the comment that is there is renewed, not repeated."""
    github.knows("4711\n")
    spoil(github.shell.folder / "src/acme_help/search.py", r"ORDER BY rank LIMIT \?", "LIMIT 0 * ?")
    done = github.runs("evals.yml", "pull_request", **MINE)
    assert done.returncode == 1
    assert "Failure - Main Evaluate" in done.stdout
    assert f"PATCH repos/{REPOSITORY}/issues/comments/4711" in github.asked()[-1]
    assert github.told().startswith("<!-- evals -->\n## ❌ Evaluation of acme-help")


def test_an_evaluation_that_cannot_run_says_so(github: Forge) -> None:
    """An old comment with a good verdict does not outlive the run that could not judge."""
    spoil(github.shell.folder / "evals/suites.toml", r'kind = "replay"', 'kind = "reply"')
    done = github.runs("evals.yml", "pull_request", **MINE)
    assert done.returncode == 1
    assert "No evaluation" in github.told()


def test_a_fork_is_judged_without_a_secret(github: Forge) -> None:
    """Its report is on the page of the run; nobody writes for it."""
    done = github.runs("evals.yml", "pull_request", **A_FORKS)
    assert done.returncode == 0, done.stdout
    assert "Success - Main Evaluate" in done.stdout
    assert "## ✅ Evaluation of acme-help" in done.stdout
    assert github.asked() == []


def spoil(file: Path, part: str, instead: str) -> None:
    """Replace each occurrence of a part; there is one."""
    text, count = re.subn(part, instead, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count
    file.write_text(text, encoding="utf-8")
