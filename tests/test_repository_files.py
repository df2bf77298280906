"""The files that forges, editors and coding agents read first."""

import configparser
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from answer_sets import answer_set_with
from chassis_tools.governance.derived_files import DERIVED_FILES
from generated_project import GenerateOnce, git, rendered
from path_ownership import owner_of

PATH = re.compile(r"`([\w./-]+(?:/|\.(?:md|py|toml|txt|yml)))`")
NOT_YET = {"signoffs/", "waivers.toml"}
"""Paths of the page that a project has only once people have signed or waived something."""


@pytest.fixture(params=["answer", "blank"])
def project(request: pytest.FixtureRequest, generated_once: GenerateOnce) -> Path:
    """Return a project of each shape, for reading only."""
    return generated_once(answer_set_with(shape=request.param))


def attributes(repository: Path, path: str) -> dict[str, str]:
    """Return what git knows about a path from all files `.gitattributes`."""
    lines = git(repository, "check-attr", "--all", path).splitlines()
    return {name: value for _, name, value in (line.split(": ") for line in lines)}


def test_forges_collapse_the_chassis_and_nothing_else(project: Path, tmp_path: Path) -> None:
    """Reviewers see the team's changes first; files keep their line endings on a machine that prefers CRLF."""
    repository = Path(shutil.copytree(project, tmp_path / "repository"))
    git(repository, "init", "--quiet")
    vendored = {"linguist-vendored": "set", "linguist-generated": "set", "gitlab-generated": "set"}
    for path in rendered(project):
        plain = {"filter": "unset", "ident": "unset", "working-tree-encoding": "unset"}
        found = attributes(repository, path)
        if path.startswith("chassis/"):
            assert found == vendored | plain | {"text": "auto", "eol": "lf"}, path
        else:
            assert found.keys() <= {"text", "eol"}, path
    for path in ("Makefile", "Dockerfile", ".env.example", "evals/suites.toml", *(each.path for each in DERIVED_FILES)):
        assert attributes(repository, path)["eol"] == "lf", path


def test_editors_are_told_how_files_are_written(project: Path) -> None:
    """What `.editorconfig` asks of an editor is true of each file that it would change."""
    text = (project / ".editorconfig").read_text(encoding="utf-8")
    rules = configparser.ConfigParser()
    rules.read_string(f"[editor]\n{text}")
    ruff = tomllib.loads((project / "chassis/ruff.toml").read_text(encoding="utf-8"))
    assert rules["*.{py,toml}"].getint("max_line_length") == ruff["line-length"]
    for path, content in rendered(project).items():
        lines = content.decode().split("\n")
        tabs = path.endswith(("Makefile", ".mk"))
        assert [line for line in lines if re.search(r"\s$", line) or (line.startswith("\t") and not tabs)] == [], path
        assert lines[-1] == "", path


def test_agents_get_one_page(project: Path) -> None:
    """It is short, it is the team's, and each path on it exists."""
    assert owner_of("AGENTS.md") == owner_of(".editorconfig") == "yours"
    text = (project / "AGENTS.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    package = next((project / "src").iterdir())
    paths = set(PATH.findall(text)) - NOT_YET
    assert len(paths) > 8
    assert [path for path in paths if not ((project / path).exists() or (package / path).exists())] == []
