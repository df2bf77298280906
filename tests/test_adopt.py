"""The chassis comes to repositories that were there before it: three commands, and no file that existed is touched."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from adopt_steps import follow, told_to_write
from answer_sets import ROOT
from chassis.config.project import find_project
from cli_runner import run
from copier import run_update
from existing_repositories import KINDS, repository
from generated_project import commit, git
from shell import Shell, newcomer
from template_releases import append, begin, release

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs/how-to/adopt.md"
ANSWERS = {"shape": "blank", "service_name": "acme-triage"}
EXPECTED = {
    "proof-of-concept": ((), ()),
    "cookiecutter": ((), ("Makefile", ".gitignore")),
    "workflows": (
        (".github/workflows/check.yml", ".pre-commit-config.yaml", "Dockerfile"),
        ("pyproject.toml", "ownership.toml", ".pre-commit-config.yaml", ".gitignore"),
    ),
    "everything": ((".pre-commit-config.yaml",), ("pyproject.toml", "Makefile", ".pre-commit-config.yaml")),
}
"""For each kind what stays the team's of the chassis' paths, and which files somebody is told to change."""
FUNCTION = {"everything": "from triage.core.classify import looks_urgent"}
"""How the function is imported; from the script in the root, if nothing else is said."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with two releases that differ in every file where repositories and the chassis can meet."""
    source = begin(tmp_path_factory.mktemp("adoption") / "template")
    release(source, "1.0.0")
    for path in (".github/workflows/check.yml", ".pre-commit-config.yaml", "Dockerfile", "chassis/README.md"):
        append(source / "template" / path, "# of the next release")
    release(source, "1.1.0")
    return source


def of_the_page(source: Path) -> list[str]:
    """Return the commands of the page, with answers for nobody's asking, and a release that is not the newest."""
    answers = " ".join(f"--data {name}={value}" for name, value in ANSWERS.items())
    commands = re.findall(r"^\$ (.*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    copier = f"{sys.executable} -m copier"
    return [
        command.replace("uvx copier copy", f"{copier} copy --defaults --quiet --vcs-ref 1.0.0 {answers}").replace(
            "<this repository>", str(source)
        )
        for command in commands
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_adoption(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Nothing that existed changes, all checks pass, its function is the task, and later updates do not conflict."""
    project = repository(kind, tmp_path / kind)
    (tmp_path / "home").mkdir()
    shell = Shell(project, newcomer(tmp_path / "home"))
    before = {path: (project / path).read_bytes() for path in git(project, "ls-files").split()}

    copy, ask, prove = of_the_page(source)
    shell.runs("sh", "-c", copy)
    told = shell.runs("sh", "-c", ask)
    kept, changes = EXPECTED[kind]
    assert tuple(re.findall(r"^(\S+) stays yours", told, re.MULTILINE)) == kept
    assert tuple(file for file, _ in told_to_write(told)) == changes
    assert {path: (project / path).read_bytes() for path in before} == before

    follow(project, told)
    told = shell.runs("sh", "-c", ask)
    assert "Nothing is left to write. Next: " in told
    proof = told.partition(" Next: ")[2].strip()
    assert (proof == prove) == (kind != "everything")
    git(project, "add", "--all")
    shell.runs("sh", "-c", proof)
    assert "test_app.py" in shell.runs("sh", "chassis/uv", "run", "--frozen", "pytest", "--collect-only", "-q")
    commit(project, "Adopt the chassis")
    _import_its_function(project, FUNCTION.get(kind, "from app import looks_urgent"))
    shell.runs("sh", "chassis/uv", "run", "--frozen", "ruff", "check", "--quiet", "--fix", "src/acme_triage")
    commit(project, "Ours")

    theirs = {path: (project / path).read_bytes() for path in (*before, *kept) if (project / path).exists()}
    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="1.1.0")
    assert git(project, "ls-files", "--unmerged") == ""
    assert {path: (project / path).read_bytes() for path in theirs} == theirs
    assert "of the next release" in (project / "chassis/README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(project)
    assert run("status") == 0


def _import_its_function(project: Path, line: str) -> None:
    """Take the one step of the how-to: import the function and call it."""
    task = project / "src/acme_triage/task.py"
    text = task.read_text(encoding="utf-8")
    text = text.replace("from pydantic import", f"{line}\nfrom pydantic import", 1)
    ours, count = re.subn(
        r"urgent = not SIGNALS(?:.*\n)+?(?=    return)", "urgent = looks_urgent(question.text)\n", text
    )
    assert count == 1
    task.write_text(ours, encoding="utf-8")
    code = (
        "from chassis.project import find_project; from chassis.cli.typed import read_typed\n"
        "task = find_project().load_task()\nquestion = read_typed(task.takes, 'An outage', 'it')\n"
        "print(task.baseline(question).value.urgent)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert find_project(project).name
