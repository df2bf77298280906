"""The chassis comes to repositories that were there before it: three commands, and no file that existed is touched."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from adopted import KINDS, repository
from chassis.project import find_project
from command import run
from copier import run_copy, run_update
from generated import commit, git
from releases import append, begin, release

pytestmark = pytest.mark.slow
EXPECTED = {
    "proof-of-concept": ((), ()),
    "cookiecutter": ((), ("Makefile", ".gitignore")),
    "workflows": (
        (".github/workflows/check.yml", ".pre-commit-config.yaml", "Dockerfile"),
        ("pyproject.toml", "ownership.toml"),
    ),
}
"""For each kind what stays the team's of the chassis' paths, and which files somebody is told to change."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with two releases that differ in every file where repositories and the chassis can meet."""
    source = begin(tmp_path_factory.mktemp("adoption") / "template")
    release(source, "1.0.0")
    for path in (".github/workflows/check.yml", ".pre-commit-config.yaml", "Dockerfile", "chassis/README.md"):
        append(source / "template" / path, "# of the next release")
    release(source, "1.1.0")
    return source


@pytest.mark.parametrize("kind", KINDS)
def test_adoption(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Nothing that existed changes, its tests pass, its function can be the task, and later updates do not conflict."""
    project = repository(kind, tmp_path / kind)
    before = {path: (project / path).read_bytes() for path in git(project, "ls-files").split()}
    answers = {"shape": "blank", "service_name": "acme-triage"}

    run_copy(
        str(source), project, answers, defaults=True, quiet=True, overwrite=True, skip_if_exists=["*"], vcs_ref="1.0.0"
    )
    monkeypatch.chdir(project)
    assert run("adopt") == 0
    told = capsys.readouterr().out
    kept, changes = EXPECTED[kind]
    assert [line.partition(" ")[0] for line in told.splitlines() if "stays yours" in line] == list(kept)
    assert [line.partition(" ")[0] for line in told.splitlines() if "yours to change" in line] == list(changes)
    assert {path: (project / path).read_bytes() for path in before} == before

    _follow(project, told)
    commit(project, "Adopt the chassis")
    assert (
        subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/test_app.py"], cwd=project, check=False).returncode
        == 0
    )
    for command in (["ruff", "format", "--check", "--no-cache", "."], ["ruff", "check", "--no-cache", "."]):
        linted = subprocess.run(command, cwd=project, check=False, capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout
    assert run("sync") == 0
    assert run("adopt") == 0
    assert capsys.readouterr().out.endswith("Nothing is left to write. Next: make setup check\n")
    _import_its_function(project)
    commit(project, "Ours")

    theirs = {path: (project / path).read_bytes() for path in (*before, *kept) if (project / path).exists()}
    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="1.1.0")
    assert git(project, "ls-files", "--unmerged") == ""
    assert {path: (project / path).read_bytes() for path in theirs} == theirs
    assert "of the next release" in (project / "chassis/README.md").read_text(encoding="utf-8")
    assert run("status") == 0


def _follow(project: Path, told: str) -> None:
    """Do what the command says, as somebody does who reads it."""
    blocks = told.split(" is yours to change. Add:\n\n")
    for above, below in pairwise(blocks):
        file = above.split()[-1]
        lines = [line.removeprefix("    ") for line in below.split("\nThen:")[0].splitlines()]
        text = "\n".join(lines[:-1] if len(blocks) > 2 and below is not blocks[-1] else lines)
        _write(project, file, text)


def _write(project: Path, file: str, text: str) -> None:
    if file == "ownership.toml":
        (project / ".github/CODEOWNERS").unlink()
    elif file == "pyproject.toml":
        entry = '[project]\ndependencies = ["chassis"]  # one more entry of the list\n'
        assert entry in text
        content = (project / file).read_text().replace("dependencies = [\n", 'dependencies = [\n  "chassis",\n')
        (project / file).write_text(content + "\n" + text.replace(entry, ""))
    else:
        append(project / file, text)


def _import_its_function(project: Path) -> None:
    """Take the one step of the how-to: import the function and call it."""
    task = project / "src/acme_triage/task.py"
    text = task.read_text(encoding="utf-8")
    text = text.replace("from pydantic import", "from app import looks_urgent\nfrom pydantic import", 1)
    urgent = 'urgent = not SIGNALS.isdisjoint(re.findall(r"\\w+", question.text.casefold()))'
    assert urgent in text
    task.write_text(text.replace(urgent, "urgent = looks_urgent(question.text)"), encoding="utf-8")
    code = (
        "from chassis.project import find_project; from chassis.cli.typed import read_typed\n"
        "task = find_project().load_task()\nquestion = read_typed(task.takes, 'An outage', 'it')\n"
        "print(task.baseline(question).value.urgent)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert find_project(project).name
