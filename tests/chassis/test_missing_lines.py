"""What an existing repository lacks: each file is read as the tool that it configures reads it."""

import re
import subprocess
from pathlib import Path

import pytest
from chassis.errors import ConfigError
from chassis_tools.updates.adopt import missing_lines
from chassis_tools.updates.python_settings import PYPROJECT, has_own_lint_rules, missing_settings
from cli_runner import run

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
    """Create a git repository with some files, whose names have underscores instead of dots."""
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return root


def test_a_complete_file_lacks_nothing(tmp_path: Path) -> None:
    """Settings that exist are not asked for again."""
    assert missing_settings(repository(tmp_path, pyproject_toml=COMPLETE), ANSWERS, CODE) == {}


def test_settings_without_a_project(tmp_path: Path) -> None:
    """A project that uses Poetry has no [project]; it gets a whole one, with what the first model needs."""
    lines = missing_settings(repository(tmp_path, pyproject_toml="[tool.poetry]\n"), ANSWERS, CODE)[PYPROJECT]
    assert '[project]\nname = "acme-triage"\nversion = "0.1.0"\nrequires-python = ">=3.13"\n' in lines
    assert 'dependencies = ["ai-service-chassis[anthropic]"]\n' in lines
    assert 'extend-exclude = ["scripts", "src/triage", "chassis", "*.md"]\n' in lines
    assert 'include = ["evals", "src", "tests"]\nexclude = ["src/triage"]\n' in lines


@pytest.mark.parametrize(
    ("extras", "dependencies", "optional"),
    [
        ("", '"idna>=3.7,<4", "rich", "ai-service-chassis[anthropic]"', ""),
        ('names = ["idna"]', '"rich", "ai-service-chassis[anthropic]"', 'names = ["idna>=3.7,<4"]\n'),
        (
            'names = ["idna"]\nall = ["idna", "rich", "gone"]',
            '"ai-service-chassis[anthropic]"',
            'names = ["idna>=3.7,<4"]\nall = ["idna>=3.7,<4", "rich"]\n',
        ),
    ],
)
def test_extras_of_poetry(tmp_path: Path, extras: str, dependencies: str, optional: str) -> None:
    """What they name becomes optional in [project] as well, because Poetry then reads its own extras no longer."""
    poetry = '[tool.poetry.dependencies]\npython = "^3.12"\nidna = { version = "^3.7", optional = true }\nrich = "*"\n'
    poetry += f"[tool.poetry.extras]\n{extras}\n" if extras else ""
    lines = missing_settings(repository(tmp_path, pyproject_toml=poetry), ANSWERS, ())[PYPROJECT]
    assert f"dependencies = [{dependencies}]\n" in lines
    assert lines.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0].rstrip("\n") == optional.rstrip(
        "\n"
    )


def test_lists_get_more_entries(tmp_path: Path) -> None:
    """Existing rules and paths stay."""
    own = COMPLETE.replace('["chassis"]\n[tool.ty]', '["old"]\n[tool.ty]').replace('"src", "."', '"lib"')
    more = "  # more entries of the list\n"
    excluded = '["scripts", "src/triage", "chassis", "*.md"]'
    assert missing_settings(repository(tmp_path, pyproject_toml=own), ANSWERS, CODE) == {
        PYPROJECT: f"[tool.ruff]\nextend-exclude = {excluded}{more}"
        f'\n[tool.pytest.ini_options]\npythonpath = [".", "src"]{more}'
    }


def test_files_that_tools_read_instead(tmp_path: Path) -> None:
    """If there is a ruff.toml or a pytest.ini, the tool does not read pyproject.toml."""
    bare = COMPLETE.partition("[tool.ruff]")[0] + "[tool.ty]\n"
    root = repository(tmp_path, pyproject_toml=bare, ruff_toml="line-length = 79\n", pytest_ini="[pytest]\n")
    assert missing_settings(root, ANSWERS, ()) == {
        "ruff.toml": 'extend-exclude = ["chassis", "*.md"]  # more entries of the list',
        "pytest.ini": "[pytest]\npythonpath = . src",
    }
    assert has_own_lint_rules(root)
    (root / "ruff.toml").write_text('exclude = ["chassis"]\n', encoding="utf-8")
    (root / "pytest.ini").write_text("[pytest]\npythonpath = src .\n", encoding="utf-8")
    assert missing_settings(root, ANSWERS, ()) == {}


@pytest.mark.parametrize(
    ("makefile", "renamed"),
    [
        ("include common.mk\n", ["check", "serve"]),
        ("-include common.mk other.mk # ours\n", ["check", "serve"]),
        ("sinclude build/t*.mk\nall:\n", ["test"]),
        ("include build/nested.mk\ntest: x\n", ["check", "serve", "test"]),
        ("include ../outside.mk $(OURS) /absolute.mk\n", []),
        ("check ::= x\nserve := y\ntest :::= z\n", []),
    ],
)
def test_targets_of_included_files(tmp_path: Path, makefile: str, renamed: list[str]) -> None:
    """Make reads them as if they stood in the Makefile, also an included file that includes others or itself."""
    root = repository(tmp_path, Makefile=f"{makefile}include chassis/tasks.mk\n", pyproject_toml=COMPLETE)
    for folder in ("chassis", "build"):
        (root / folder).mkdir()
    (root / "chassis/tasks.mk").write_text("check: .venv\ntest:\nserve:\n", encoding="utf-8")
    (root / "common.mk").write_text("check:\n\tgo\nserve::\n\tgo\n", encoding="utf-8")
    (root / "build/test.mk").write_text("test:\n\tgo\n", encoding="utf-8")
    (root / "build/nested.mk").write_text("include common.mk build/nested.mk\n", encoding="utf-8")
    lines = {each.file: each.lines for each in missing_lines(root, ANSWERS, (), ())}.get("Makefile", "")
    assert re.findall("rename your targets (.*),", lines) == ([", ".join(renamed)] if renamed else [])


def test_conflicting_targets_and_hooks(tmp_path: Path) -> None:
    """Make targets with the same name, and hooks that would run on the chassis, are reported until they are fixed."""
    root = repository(
        tmp_path, pyproject_toml=COMPLETE, makefile="CHECK := 1\ncheck test: x\n\tgo\nown:\n", _gitignore="*\n"
    )
    (root / "chassis").mkdir()
    (root / "chassis/tasks.mk").write_text("check: .venv\ntest:\nserve:\n", encoding="utf-8")
    hooks = root / ".pre-commit-config.yaml"
    hooks.write_text("repos: []\n", encoding="utf-8")

    def missing() -> list[str]:
        return [f"{each.file}: {each.lines}" for each in missing_lines(root, ANSWERS, (), (hooks.name,))]

    assert missing() == [
        (
            "makefile: # rename your targets check, test, because the chassis has targets of these names\n"
            "include chassis/tasks.mk  # as the last line, so that your first target remains the default"
        ),
        ".pre-commit-config.yaml: exclude: ^chassis/  # at the top level, so that no hook changes the chassis",
    ]
    (root / "makefile").write_bytes("# für uns\nown:\n-include chassis/tasks.mk\n".encode("latin-1"))
    hooks.write_text("repos: []\nexclude: ^(data|chassis)/\n", encoding="utf-8")
    assert missing() == []


@pytest.mark.parametrize("content", [b"[tool.poetry\n", b'name = "caf\xe9"\n'])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes) -> None:
    """It is not TOML, or not UTF-8."""
    (tmp_path / PYPROJECT).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^pyproject.toml: not valid TOML .* Fix it, then try again"):
        missing_settings(tmp_path, ANSWERS, ())


def test_a_repository_without_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a commit it is unknown which files existed before."""
    questions = "service_name: acme-help\nowner_team: '@acme/ai'\ndata_class: internal\n"
    answers = f"_src_path: /nowhere\n_commit: 1.0.0\nkept_paths: []\n{questions}"
    (tmp_path / ".copier-answers.yml").write_text(answers, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for command in (["true"], ["git", "init", "--quiet"]):
        subprocess.run(command, cwd=tmp_path, check=True)
        assert run("adopt") == 2
        assert capsys.readouterr().err == (
            "git: this repository has no commit. Commit the files that existed before you ran Copier (after `git init` "
            "if needed), then try again\n"
        )


def test_a_hand_written_codeowners_is_reported(tmp_path: Path) -> None:
    """A hand-written file in place of a derived one is named until it is gone; one written by `chassis sync` is not."""
    root = repository(tmp_path, pyproject_toml=COMPLETE, Makefile="include chassis/tasks.mk\n", _gitignore="*\n")
    (root / ".github").mkdir()
    (root / ".github/CODEOWNERS").write_text("* @acme/triage\n", encoding="utf-8")
    assert [each.file for each in missing_lines(root, ANSWERS, (), ())] == ["ownership.toml"]
    (root / ".github/CODEOWNERS").write_text("# Generated by `uv run chassis sync` from ownership.toml\n", "utf-8")
    assert list(missing_lines(root, ANSWERS, (), ())) == []


def test_what_must_not_be_committed(tmp_path: Path) -> None:
    """Only entries that no pattern of .gitignore covers yet are reported."""
    root = repository(tmp_path, pyproject_toml=COMPLETE, Makefile="include chassis/tasks.mk\n", _gitignore="*.pyc\n")
    assert [each.lines for each in missing_lines(root, ANSWERS, (), ())] == [".env\nvar/\n.venv/"]


def test_a_repository_that_is_only_evaluated(tmp_path: Path) -> None:
    """Its settings say so, and no file of a running service is derived for it."""
    lines = missing_settings(tmp_path, {**ANSWERS, "scope": "evaluation"}, ())[PYPROJECT]
    assert '[tool.chassis]\ntask = "acme_triage.task:TASK"\nforge = "github"\nserves = false\n' in lines
    assert "serves" not in missing_settings(tmp_path, ANSWERS, ())[PYPROJECT]
