"""Existing repositories adopt the chassis with three commands, and none of their files is changed on the way."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from adopt_steps import add_printed_lines, commands_of_the_page, printed_lines
from chassis.config.project import find_project
from cli_runner import run
from copier import run_update
from existing_repositories import KINDS, write_repository
from generated_project import commit, git
from shell import Shell, clean_environment
from template_releases import append_line, tag_release, template_repository

pytestmark = pytest.mark.slow
EXPECTED = {
    "proof-of-concept": ((), ()),
    "cookiecutter": ((), ("Makefile", ".gitignore")),
    "workflows": (
        (".github/workflows/check.yml", ".pre-commit-config.yaml", "Dockerfile"),
        ("pyproject.toml", "ownership.toml", ".pre-commit-config.yaml", ".gitignore"),
    ),
    "everything": (
        (".pre-commit-config.yaml",),
        ("pyproject.toml", "Makefile", ".pre-commit-config.yaml"),
    ),
}
"""For each kind of repository, the chassis paths that stay the team's, and the files that lack lines."""
IMPORTS = {"everything": "from triage.core.classify import looks_urgent"}
"""How the existing function is imported, if not from the script in the root."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with two releases that differ in every file that an existing repository may have as well."""
    source = template_repository(tmp_path_factory.mktemp("adoption") / "template")
    tag_release(source, "1.0.0")
    for path in (".github/workflows/check.yml", ".pre-commit-config.yaml", "Dockerfile", "chassis/README.md"):
        append_line(source / "template" / path, "# of the next release")
    tag_release(source, "1.1.0")
    return source


@pytest.mark.parametrize("kind", KINDS)
def test_adoption(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """No existing file changes, all checks pass, the existing function becomes the task, and an update succeeds."""
    project = write_repository(KINDS[kind], tmp_path / kind)
    (tmp_path / "home").mkdir()
    shell = Shell(project, clean_environment(tmp_path / "home"))
    before = {path: (project / path).read_bytes() for path in git(project, "ls-files").split()}

    copy, adopt, check = commands_of_the_page(source)
    shell.run("sh", "-c", copy)
    output = shell.run("sh", "-c", adopt)
    kept_paths, changed_files = EXPECTED[kind]
    assert tuple(re.findall(r"^(\S+) stays yours", output, re.MULTILINE)) == kept_paths
    assert tuple(file for file, _ in printed_lines(output)) == changed_files
    assert {path: (project / path).read_bytes() for path in before} == before

    add_printed_lines(project, output)
    output = shell.run("sh", "-c", adopt)
    assert "Nothing is missing. Run: " in output
    next_command = output.partition("Nothing is missing. Run: ")[2].strip()
    assert (next_command == check) == (kind != "everything")
    git(project, "add", "--all")
    shell.run("sh", "-c", next_command)
    assert "test_app.py" in shell.run("sh", "chassis/uv", "run", "--frozen", "pytest", "--collect-only", "-q")
    commit(project, "Adopt the chassis")
    _call_existing_function(project, IMPORTS.get(kind, "from app import looks_urgent"))
    shell.run("sh", "chassis/uv", "run", "--frozen", "ruff", "check", "--quiet", "--fix", "src/acme_triage")
    commit(project, "Ours")

    files = {path: (project / path).read_bytes() for path in (*before, *kept_paths) if (project / path).exists()}
    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="1.1.0")
    assert git(project, "ls-files", "--unmerged") == ""
    assert {path: (project / path).read_bytes() for path in files} == files
    assert "of the next release" in (project / "chassis/README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(project)
    assert run("status") == 0


def _call_existing_function(project: Path, import_line: str) -> None:
    """Take the last step of the page: import the function and call it in the task."""
    task = project / "src/acme_triage/task.py"
    text = task.read_text(encoding="utf-8")
    text = text.replace("from pydantic import", f"{import_line}\nfrom pydantic import", 1)
    text, count = re.subn(
        r"urgent = not SIGNALS(?:.*\n)+?(?=    return)", "urgent = looks_urgent(question.text)\n", text
    )
    assert count == 1
    task.write_text(text, encoding="utf-8")
    code = (
        "from chassis.config.project import find_project\n"
        "task = find_project().load_task()\n"
        "print(task.baseline(task.takes(text='An outage')).value.urgent)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert find_project(project).name
