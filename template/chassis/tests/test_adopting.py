"""What a repository lacks that was there before the chassis: each file is read as its own tool reads it."""

import subprocess
from pathlib import Path

import pytest
from chassis_tools.updates.missing import missing
from chassis_tools.updates.pyproject import PROJECT, has_own_rules, lacking
from cli_runner import run

from chassis.errors import ConfigError

ANSWERS = {"service_name": "acme-triage", "provider": "anthropic", "python_version": "3.13"}
CODE = ("scripts", "src/triage")
COMPLETE = """
[project]
dependencies = ["ai-service-chassis"]
[dependency-groups]
dev = ["ai-service-chassis-tools[dev]"]
[tool.chassis]
task = "acme_triage.task:TASK"
[tool.uv]
workspace.members = ["chassis", "chassis/tools"]
sources.ai-service-chassis.workspace = true
sources.ai-service-chassis-tools.workspace = true
[tool.ruff]
extend-exclude = ["chassis"]
[tool.ty]
[tool.pytest.ini_options]
pythonpath = ["src", "."]
"""


def repository(root: Path, **files: str) -> Path:
    """Write files, whose names have underscores for dots, into a repository of git."""
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return root


def test_a_file_that_has_everything_lacks_nothing(tmp_path: Path) -> None:
    """What is there is not asked for again."""
    assert lacking(repository(tmp_path, pyproject_toml=COMPLETE), ANSWERS, CODE) == {}


def test_settings_without_a_project(tmp_path: Path) -> None:
    """Poetry and bare tools have no [project]; it gets a whole one, with what the first model needs."""
    lines = lacking(repository(tmp_path, pyproject_toml="[tool.poetry]\n"), ANSWERS, CODE)[PROJECT]
    assert '[project]\nname = "acme-triage"\nversion = "0.1.0"\nrequires-python = ">=3.13"\n' in lines
    assert 'dependencies = ["ai-service-chassis[anthropic]"]\n' in lines
    assert 'extend-exclude = ["scripts", "src/triage", "chassis", "*.md"]\n' in lines
    assert 'include = ["evals", "src", "tests"]\nexclude = ["src/triage"]\n' in lines


def test_lists_get_more_entries(tmp_path: Path) -> None:
    """Rules and paths that are there stay."""
    own = COMPLETE.replace('["chassis"]\n[tool.ty]', '["old"]\n[tool.ty]').replace('"src", "."', '"lib"')
    more = "  # more entries of the list\n"
    excluded = '["scripts", "src/triage", "chassis", "*.md"]'
    assert lacking(repository(tmp_path, pyproject_toml=own), ANSWERS, CODE) == {
        PROJECT: f"[tool.ruff]\nextend-exclude = {excluded}{more}"
        f'\n[tool.pytest.ini_options]\npythonpath = [".", "src"]{more}'
    }


def test_files_that_tools_read_instead(tmp_path: Path) -> None:
    """Where there is a ruff.toml or a pytest.ini, the tool does not look into pyproject.toml, so neither do we."""
    bare = COMPLETE.partition("[tool.ruff]")[0] + "[tool.ty]\n"
    root = repository(tmp_path, pyproject_toml=bare, ruff_toml="line-length = 79\n", pytest_ini="[pytest]\n")
    assert lacking(root, ANSWERS, ()) == {
        "ruff.toml": 'extend-exclude = ["chassis", "*.md"]  # more entries of the list',
        "pytest.ini": "pythonpath = . src",
    }
    assert has_own_rules(root)
    (root / "ruff.toml").write_text('exclude = ["chassis"]\n', encoding="utf-8")
    (root / "pytest.ini").write_text("[pytest]\npythonpath = src .\n", encoding="utf-8")
    assert lacking(root, ANSWERS, ()) == {}


def test_targets_and_hooks_that_would_meet(tmp_path: Path) -> None:
    """Two targets of one name, and hooks that see the chassis, until somebody has told them apart."""
    root = repository(
        tmp_path, pyproject_toml=COMPLETE, makefile="CHECK := 1\ncheck test: x\n\tgo\nown:\n", _gitignore="*\n"
    )
    (root / "chassis").mkdir()
    (root / "chassis/tasks.mk").write_text("check: .venv\ntest:\nserve:\n", encoding="utf-8")
    hooks = root / ".pre-commit-config.yaml"
    hooks.write_text("repos: []\n", encoding="utf-8")

    def asked() -> list[str]:
        return [f"{each.file}: {each.lines}" for each in missing(root, ANSWERS, (), (hooks.name,))]

    assert asked() == [
        (
            "makefile: # and give your own check, test other names, because the chassis has these too\n"
            "include chassis/tasks.mk"
        ),
        ".pre-commit-config.yaml: exclude: ^chassis/  # of the whole file, so that no hook of yours edits the chassis",
    ]
    (root / "makefile").write_bytes("# für uns\nown:\n-include chassis/tasks.mk\n".encode("latin-1"))
    hooks.write_text("repos: []\nexclude: ^(data|chassis)/\n", encoding="utf-8")
    assert asked() == []


@pytest.mark.parametrize("content", [b"[tool.poetry\n", b'name = "caf\xe9"\n'])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    """It is no TOML, or no UTF-8."""
    (tmp_path / PROJECT).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^pyproject.toml: not valid TOML .* Mend it, then try again"):
        lacking(tmp_path, ANSWERS, ())


def test_what_nobody_committed_cannot_be_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a commit nobody knows which files were there before."""
    record = "_src_path: /nowhere\n_commit: 1.0.0\nkept_paths: []\n"
    (tmp_path / ".copier-answers.yml").write_text(record, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for begin in (["true"], ["git", "init", "--quiet"]):
        subprocess.run(begin, cwd=tmp_path, check=True)
        assert run("adopt") == 2
        assert capsys.readouterr().err == (
            "git: nothing was ever committed here. Commit what was there before Copier came, after `git init` if need "
            "be; then try again\n"
        )


def test_owners_that_people_wrote_come_first(tmp_path: Path) -> None:
    """A file of theirs in the place of a derived one is named until it is gone; one that was derived is not."""
    root = repository(tmp_path, pyproject_toml=COMPLETE, Makefile="include chassis/tasks.mk\n", _gitignore="*\n")
    (root / ".github").mkdir()
    (root / ".github/CODEOWNERS").write_text("* @acme/triage\n", encoding="utf-8")
    assert [each.file for each in missing(root, ANSWERS, (), ())] == ["ownership.toml"]
    (root / ".github/CODEOWNERS").write_text("# Derived from ownership.toml by `uv run chassis sync`\n", "utf-8")
    assert list(missing(root, ANSWERS, (), ())) == []


def test_what_must_not_be_committed(tmp_path: Path) -> None:
    """Whatever git does not ignore yet, in the form in which git wants it."""
    root = repository(tmp_path, pyproject_toml=COMPLETE, Makefile="include chassis/tasks.mk\n", _gitignore="*.pyc\n")
    assert [each.lines for each in missing(root, ANSWERS, (), ())] == [".env\nvar/\n.venv/"]
