"""The page on adoption, typed as it stands, in eight repositories: seven end with green checks, one with a sentence."""

import re
import subprocess
from pathlib import Path

import pytest
from adopt_steps import add_printed_lines, commands_of_the_page
from adoption_fixtures import FIXTURES
from existing_repositories import write_repository
from generated_project import git
from shell import Shell, clean_environment
from template_releases import tag_release, template_repository

pytestmark = pytest.mark.slow
STOPS_AT_ADOPT = {"python-3.11"}
WORKFLOWS = ".github/workflows"
ABSENT_WITHOUT_A_SERVICE = (
    "ops",
    "compose.yaml",
    ".dockerignore",
    f"{WORKFLOWS}/container.yml",
    f"{WORKFLOWS}/release.yml",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with one release."""
    source = template_repository(tmp_path_factory.mktemp("adoption") / "template")
    tag_release(source, "1.0.0")
    return source


@pytest.mark.parametrize("name", FIXTURES)
def test_the_page_ends_green(source: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the page succeeds, what was there stays, and what both would read or run is named."""
    fixture = FIXTURES[name]
    service = write_repository(fixture, tmp_path / name)
    (tmp_path / "home").mkdir()
    shell = Shell(service, clean_environment(tmp_path / "home"))
    before = {path: (service / path).read_bytes() for path in git(service, "ls-files").split()}
    own_env = (service / ".env").read_bytes() if (service / ".env").exists() else None

    copy, adopt, _ = commands_of_the_page(source)
    shell.run("sh", "-c", copy)
    first = shell.try_run("sh", "-c", adopt)
    said = first.stdout + first.stderr
    assert [part for part in fixture.says if part not in said] == []
    assert {path: (service / path).read_bytes() for path in before} == before
    rows = [("copy", 0, ""), ("adopt", first.returncode, _summary(said))]
    if name in STOPS_AT_ADOPT:
        assert first.returncode == 2
        assert "Move the project to Python >=3.12 first" in first.stderr
    else:
        last = _finish(shell, adopt, said)
        rows.append(("set up and check", last.returncode, _summary(last.stdout + last.stderr)))
        assert last.returncode == 0, f"{last.stdout[-3000:]}\n{last.stderr[-3000:]}"
        assert ((service / ".env").read_bytes() if (service / ".env").exists() else None) == own_env
    with capsys.disabled():
        print(*("", *(f"{name:16} {command:17} {code}  {text}" for command, code, text in rows)), sep="\n")


def test_the_evaluation_alone(source: Path, tmp_path: Path) -> None:
    """A repository that keeps its own server gets nothing that builds or operates one, and its checks are green."""
    root = write_repository(FIXTURES["fastapi-settings"], tmp_path / "service")
    (tmp_path / "home").mkdir()
    shell = Shell(root, clean_environment(tmp_path / "home"))
    copy, adopt, _ = commands_of_the_page(source)
    assert " --data shape=blank" in copy
    shell.run("sh", "-c", copy.replace(" --data shape=blank", " --data scope=evaluation --data shape=blank"))
    said = shell.run("sh", "-c", adopt)
    assert "it does not start the service" not in said
    done = _finish(shell, adopt, said)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    for path in (
        "ops",
        "compose.yaml",
        ".dockerignore",
        ".github/workflows/container.yml",
        ".github/workflows/release.yml",
    ):
        assert not (root / path).exists(), path
    assert (root / "Dockerfile").read_text(encoding="utf-8").startswith("FROM python:3.12")
    git(root, "commit", "--quiet", "--no-verify", "--message", "Adopt the evaluation")
    assert "Everything is in order" in shell.run(".venv/bin/chassis", "status")
    shell.run("make", "evals")


def _finish(shell: Shell, adopt: str, said: str) -> subprocess.CompletedProcess[str]:
    """Do what was printed until nothing is missing, then run the command that is printed last."""
    for _ in range(3):
        if "Nothing is missing. Run: " in said:
            break
        add_printed_lines(shell.folder, said)
        said = shell.run("sh", "-c", adopt)
    command = said.partition("Nothing is missing. Run: ")[2].strip()
    assert command, said
    git(shell.folder, "add", "--all")
    return shell.try_run("sh", "-c", command)


def _summary(output: str) -> str:
    """Return the last line that says something."""
    lines = [line for line in output.splitlines() if line.strip() and not re.match(r"make(\[\d\])?:", line)]
    return lines[-1].strip()[:150] if lines else ""
