"""`chassis propose`: a branch with the failing cases of an alarm, next to whatever is checked out."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from chassis.clock import now
from chassis.store.database import Database
from chassis.store.quality_history import DriftAlarms
from cli_runner import run as chassis
from database_story import run_with_database
from sample_evaluation import run_and_accept, write_evaluation
from test_cases import BY_A_PERSON, in_split, review

CHANGED_ON = (now() - timedelta(days=10)).date()


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    return subprocess.check_output(["git", "-C", str(folder), *arguments], text=True)


@pytest.fixture
def committed(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commit a project with cases and suites."""
    write_evaluation(project)
    (project / "evals/graders.py").write_text(BY_A_PERSON)
    (project / ".gitignore").write_text("var/\n")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit_everything(project)
    return project


def commit_everything(root: Path) -> None:
    """Commit what there is."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Begin")


def alarm(root: Path) -> str:
    """Raise an alarm, and return its id."""

    async def raise_it(database: Database) -> str:
        alarms = DriftAlarms(database)
        await alarms.raise_alarm("echo", "reviews", CHANGED_ON, "18 of 120 reviewed drafts failed")
        return (await alarms.all_alarms())[-1].id

    return run_with_database(f"sqlite:///{root}/var/service.db", raise_it)


def failed(root: Path, *questions: str) -> list[str]:
    """Let a reviewer correct questions, and return the tickets."""
    return review(root, *[(question, "Because.") for question in questions])


def everything_in(root: Path) -> dict[str, bytes]:
    """Return the files that git sees, and what is staged, by name."""
    files = git(root, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return {name: (root / name).read_bytes() for name in files} | {"": git(root, "status", "--porcelain=v2").encode()}


def test_a_proposal_is_a_branch_that_fails_the_gate(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Merged by a person it turns the gate red on the code that caused it; until then nothing has changed."""
    run_and_accept(committed, "answers", "attacks")
    commit_everything(committed)
    [ticket] = failed(committed, in_split("gate"))
    name = alarm(committed)
    before = everything_in(committed)

    assert chassis("propose", name, "--to", "start") == 0

    printed = capsys.readouterr().out
    assert f"git show quality-drift-{name}" in printed
    assert "Add cases of quality drift in reviews" in printed
    assert "18 of 120 reviewed drafts failed" in printed
    assert f"- `{ticket}`: gate, must pass" in printed
    assert in_split("gate") not in printed
    assert everything_in(committed) == before
    assert git(committed, "worktree", "list").count("\n") == 1
    changed = git(committed, "diff", "--name-only", "main", f"quality-drift-{name}").split()
    assert changed == ["evals/cases/start.jsonl", f"evals/drift/{name}.md"]
    assert chassis("evals", "run", "answers") == 0
    git(committed, "merge", "--quiet", f"quality-drift-{name}")
    assert chassis("evals", "run", "answers") == 1


def test_uncommitted_changes_stay_where_they_are(committed: Path) -> None:
    """Edited, staged, new and deleted files are neither lost nor proposed."""
    [ticket] = failed(committed, "why ten")
    cases = committed / "evals/cases/start.jsonl"
    cases.write_text(cases.read_text() + '{"id": "mine", "input": {"text": "mine"}, "expected": "MINE"}\n')
    (committed / "new.txt").write_text("new")
    (committed / "staged.txt").write_text("staged")
    git(committed, "add", "staged.txt")
    (committed / "ownership.toml").unlink()
    git(committed, "rm", "--quiet", "--cached", "wait.py")
    before = {name: (committed / name).read_bytes() for name in ("evals/cases/start.jsonl", "new.txt", "staged.txt")}
    status = git(committed, "status", "--porcelain")

    name = alarm(committed)
    assert chassis("propose", name, "--to", "start", "--branch", "proposal") == 0

    assert git(committed, "status", "--porcelain") == status
    assert {file: (committed / file).read_bytes() for file in before} == before
    proposed = git(committed, "show", "proposal:evals/cases/start.jsonl")
    assert (ticket in proposed, '"mine"' in proposed) == (True, False)
    assert git(committed, "diff", "--name-only", "main", "proposal").count("\n") == 2


def test_it_works_with_a_detached_head(committed: Path) -> None:
    """As in CI, and while a release is inspected."""
    failed(committed, "why ten")
    git(committed, "switch", "--quiet", "--detach")
    head = git(committed, "rev-parse", "HEAD")

    assert chassis("propose", alarm(committed), "--to", "start", "--branch", "team/proposal") == 0

    assert git(committed, "rev-parse", "team/proposal^") == head
    assert git(committed, "branch", "--show-current") == ""


def test_it_works_in_a_folder_of_a_repository(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths of the commit are those in the repository, also with a space in them."""
    folder = committed / "ser vices/echo"
    folder.mkdir(parents=True)
    for name in ("evals", "constraints.toml", "ownership.toml", "pyproject.toml", "wait.py"):
        git(committed, "mv", name, f"ser vices/echo/{name}")
    commit_everything(committed)
    monkeypatch.chdir(folder)
    failed(folder, "why ten")

    assert chassis("propose", alarm(folder), "--to", "start", "--branch", "proposal") == 0

    changed = git(committed, "diff", "--name-only", "main", "proposal").splitlines()
    assert changed[0] == "ser vices/echo/evals/cases/start.jsonl"
    assert git(committed, "status", "--porcelain", "--untracked-files=no") == ""


@pytest.mark.parametrize("name", ["main", "proposal", "-x", "two words", "a..b", "HEAD", "proposal/more", "bad~1"])
def test_a_branch_that_cannot_be_created_is_refused(
    committed: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """One that exists stays where it is; nothing else is created."""
    failed(committed, "why ten")
    git(committed, "branch", "proposal")
    before, drift = git(committed, "for-each-ref"), alarm(committed)
    capsys.readouterr()

    assert chassis("propose", drift, "--to", "start", f"--branch={name}") == 2

    assert len(capsys.readouterr().err.splitlines()) == 1
    assert git(committed, "for-each-ref") == before
    assert git(committed, "worktree", "list").count("\n") == 1


def test_what_cannot_be_proposed_leaves_no_branch(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No alarm, no failing cases since then, or no data set."""
    name = alarm(committed)
    before = git(committed, "for-each-ref")
    with patch("chassis.store.reviews.now", lambda: now() - timedelta(days=11)):
        failed(committed, "why so long ago")
    review(committed, ("why was this right", "WHY"), verdict="pass")

    assert chassis("propose", "d_0", "--to", "start") == 1
    assert "No alarm 'd_0' is open" in capsys.readouterr().err
    assert chassis("propose", name, "--to", "start") == 0
    assert "There is nothing to propose" in capsys.readouterr().out
    failed(committed, "why only now")
    assert chassis("propose", name, "--to", "other") == 2
    assert "no suite uses a data set 'other'" in capsys.readouterr().err
    assert git(committed, "for-each-ref") == before
    assert git(committed, "worktree", "list").count("\n") == 1


def test_refused_cases_do_not_keep_the_others_back(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are named, and the exit code is 1."""
    review(committed, ("why one", "One."), tags=("ask jo.doe@example.org",))
    [added] = failed(committed, "why two entirely other things")

    assert chassis("propose", alarm(committed), "--to", "start", "--branch", "proposal") == 1

    assert "refused, because it contains a value of the kind 'email'" in capsys.readouterr().out
    last = json.loads(git(committed, "show", "proposal:evals/cases/start.jsonl").splitlines()[-1])
    assert last["id"] == added


@pytest.mark.parametrize("state", ["no repository", "no commit"])
def test_it_needs_a_repository_with_a_commit(project: Path, capsys: pytest.CaptureFixture[str], state: str) -> None:
    """One sentence says so."""
    write_evaluation(project)
    if state == "no commit":
        git(project, "init", "--quiet")
    failed(project, "why ten")

    name = alarm(project)
    capsys.readouterr()

    assert chassis("propose", name, "--to", "start") == 2

    assert len(capsys.readouterr().err.splitlines()) == 1
