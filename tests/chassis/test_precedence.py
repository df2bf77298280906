"""What adoption changes without sharing a path, and what keeps an existing project and the chassis apart."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from chassis.errors import ConfigError
from chassis_tools.updates.precedence import find_overlaps
from chassis_tools.updates.python_settings import (
    PYPROJECT,
    check_python,
    clashing_requirements,
    from_poetry,
    missing_settings,
    poetry_specifier,
)

CHASSIS = {
    "chassis/pyproject.toml": """
[project]
requires-python = ">=3.12"
dependencies = ["structlog>=24", "Rich>=13,<99"]
""",
    "chassis/tools/pyproject.toml": '[project]\n[project.optional-dependencies]\ndev = ["ruff>=0.17"]\n',
}
RELEASE = {".github/workflows/release.yml": "on: push\n", ".dockerignore": "tests\n**/__pycache__\n"}
NO_SETTINGS: Mapping[str, str] = {"service_name": "acme-triage"}


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Create a git repository on the branch `main` with some files."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main"], cwd=root, check=True)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def overlaps(root: Path, existing: Mapping[str, str], new: Mapping[str, str], forge: str = "github") -> list[str]:
    """Return what is said about a repository with existing and new files."""
    write(root, {**existing, **new})
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "x"], cwd=root, check=True)
    kept = [path for path in existing if path in {"Dockerfile", ".dockerignore"}]
    return [f"{each.file}: {each.effect}" for each in find_overlaps(root, existing, kept, forge)]


@pytest.mark.parametrize(
    ("existing", "said"),
    [
        ({"CODEOWNERS": ""}, "CODEOWNERS: GitHub reads .github/CODEOWNERS instead"),
        ({"docs/CODEOWNERS": ""}, "docs/CODEOWNERS: GitHub reads .github/CODEOWNERS instead"),
        ({"docker-compose.yml": ""}, "docker-compose.yml: `docker compose` reads the new compose.yaml"),
        ({"compose.yml": ""}, "compose.yml: `docker compose` reads the new compose.yaml"),
        ({"docker-compose.override.yml": ""}, "docker-compose.override.yml: `docker compose` merges it"),
        ({".github/dependabot.yaml": ""}, ".github/dependabot.yaml: GitHub reads only one"),
        ({"setup.py": ""}, "setup.py: the new pyproject.toml says how the project is built"),
        ({"setup.cfg": "[metadata]\n"}, "setup.cfg: the new pyproject.toml says how the project is built"),
        ({"requirements-dev.txt": "-r a.txt\nBlack>=1 ; x\n"}, "requirements-dev.txt: pyproject.toml does not list"),
        ({"Pipfile": ""}, "Pipfile: uv does not read it"),
        (
            {".github/workflows/publish.yml": "on:\n  push:\n    tags: [v1]\n"},
            ".github/workflows/publish.yml: it runs for",
        ),
        ({".github/workflows/p.yml": "on: release\n"}, ".github/workflows/p.yml: it runs for"),
        ({".github/workflows/release.yaml": "on: push\n"}, ".github/workflows/release.yaml: the new release.yml runs"),
        (
            {"tests/a": "", "Dockerfile": "copy --chown=1 ./tests /chassis\n"},
            "Dockerfile: the new .dockerignore hides tests",
        ),
        (
            {"tests/a": "", "web.Dockerfile": 'ADD ["a", "tests", "/x"]\n'},
            "web.Dockerfile: the new .dockerignore hides tests",
        ),
        ({"tests/a": "", "b/Dockerfile": "COPY a \\\n  . /x\n"}, "b/Dockerfile: the new .dockerignore hides tests"),
        ({"Dockerfile": "FROM x\n"}, "Dockerfile: the container workflow, compose.yaml and ops/ build and run it"),
        (
            {".env": "export OPENAI_API_KEY=x\nDATABASE_URL=y\n"},
            ".env: the service reads it too, and uses OPENAI_API_KEY",
        ),
        ({".env": "OTEL_SERVICE_NAME=x\n"}, ".env: the service reads it too, and uses OTEL_SERVICE_NAME"),
    ],
)
def test_an_overlap_is_named(tmp_path: Path, existing: dict[str, str], said: str) -> None:
    """Each says what takes effect; nothing else is said."""
    [line] = overlaps(tmp_path, existing, {**RELEASE, PYPROJECT: "[project]\n"})
    assert line.startswith(said)


@pytest.mark.parametrize(
    "existing",
    [
        {"README.md": ""},
        {"compose.yaml": "", "docker-compose.yml": ""},
        {PYPROJECT: '[project]\ndependencies = ["black>=1"]\n', "setup.py": "", "requirements.txt": "black\n"},
        {"setup.cfg": "[flake8]\n"},
        {"tests/a": "", "src/a": "", "docker/Dockerfile": "COPY --from=build /x /y\nCOPY src /x\nCOPY a* /x\n"},
        {".github/workflows/ci.yml": "on: {push: {branches: [main]}}\n"},
        {".env": "API_URL=x\n"},
    ],
)
def test_what_does_not_overlap_is_not_named(tmp_path: Path, existing: dict[str, str]) -> None:
    """Files that keep their effect need no word."""
    assert overlaps(tmp_path, existing, {PYPROJECT: "[project]\n", **RELEASE} | existing) == []


def test_gitlab_reads_other_code_owners_first(tmp_path: Path) -> None:
    """There the file of the chassis is the one without an effect."""
    [line] = overlaps(tmp_path, {"CODEOWNERS": ""}, {}, "gitlab")
    assert line.startswith("CODEOWNERS: GitLab reads it instead of .gitlab/CODEOWNERS")


def test_an_ignore_file_hides_what_the_image_needs(tmp_path: Path) -> None:
    """The last pattern that matches decides, so a list of exceptions is enough."""
    [line] = overlaps(tmp_path, {".dockerignore": "*\n!src\n!uv.lock\n"}, {})
    assert line == ".dockerignore: it hides files that the new Dockerfile copies, by *"
    (tmp_path / ".dockerignore").write_text("*\n!chassis\n!*.toml\n!uv.lock\n!.python-version\n", encoding="utf-8")
    assert find_overlaps(tmp_path, {".dockerignore"}, {".dockerignore"}, "github") == []


def test_another_main_branch_is_named(tmp_path: Path) -> None:
    """The workflows run after a merge on a branch with a usual name only."""
    overlaps(tmp_path, {"README.md": ""}, {})
    subprocess.run(["git", "branch", "--quiet", "-m", "stable"], cwd=tmp_path, check=True)
    assert [each.file for each in find_overlaps(tmp_path, (), (), "github")] == ["branch stable"]
    subprocess.run(["git", "branch", "--quiet", "master"], cwd=tmp_path, check=True)
    assert find_overlaps(tmp_path, (), (), "github") == []


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ({"project": {"requires-python": ">=3.11,<3.12"}}, r"project.requires-python: '>=3.11,<3.12' allows no Python"),
        ({"project": {"requires-python": "~=3.10.0"}}, "project.requires-python: '~=3.10.0' allows"),
        ({"tool": {"poetry": {"dependencies": {"python": "~3.11"}}}}, r"poetry.dependencies.python: '~3.11' allows"),
        ({}, r"^.python-version: '3.10' allows"),
    ],
)
def test_a_python_that_is_too_old_is_named(tmp_path: Path, content: dict[str, object], where: str) -> None:
    """The error names the line before anything is installed."""
    write(tmp_path, CHASSIS | ({} if content else {".python-version": "3.10.4\n"}))
    with pytest.raises(ConfigError, match=where):
        check_python(tmp_path, content)


@pytest.mark.parametrize("specifier", [">=3.10", ">=3.9,<4", "==3.12.*", "!=3.13", ">3.11", "nonsense"])
def test_a_python_that_fits_is_accepted(tmp_path: Path, specifier: str) -> None:
    """A range needs only one version in common; what is no specifier is left to uv."""
    write(tmp_path, {**CHASSIS, ".python-version": "3.13\n"})
    check_python(tmp_path, {"project": {"requires-python": specifier}})


@pytest.mark.parametrize(
    ("requirement", "clashes"),
    [
        ("structlog==23.2", True),
        ("structlog<24", True),
        ("structlog~=23.0", True),
        ("rich==99.1", True),
        ("Rich>=100", True),
        ("ruff==0.4.*", True),
        ("structlog>=23", False),
        ("structlog==24.*", False),
        ("rich>13,<14", False),
        ("rich!=13", False),
        ("unknown==1", False),
        ("structlog[dev]", False),
    ],
)
def test_a_requirement_that_cannot_be_met_is_named(tmp_path: Path, requirement: str, *, clashes: bool) -> None:
    """Wherever it is written, and however."""
    write(tmp_path, CHASSIS)
    contents: list[dict[str, object]] = [
        {"project": {"dependencies": [requirement]}},
        {"project": {"optional-dependencies": {"x": [requirement]}}},
        {"dependency-groups": {"test": [requirement, {"include-group": "x"}]}},
    ]
    for content in contents:
        assert bool(list(clashing_requirements(tmp_path, content))) is clashes
    (tmp_path / "requirements.txt").write_text(f"-e .\n{requirement} # pinned\n", encoding="utf-8")
    assert bool(list(clashing_requirements(tmp_path, {}))) is clashes


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("~1.2", ">=1.2,<1.3"),
        ("~1", ">=1,<2"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("1.2.*", "==1.2.*"),
        ("1.2", "==1.2"),
        (">= 1.2, < 3", ">=1.2,<3"),
        ("*", ""),
        ("~=1.2", "~=1.2"),
        ("^3.11,<3.13", ">=3.11,<4,<3.13"),
    ],
)
def test_versions_of_poetry_are_translated(constraint: str, specifier: str) -> None:
    """As Poetry's documentation defines them."""
    assert poetry_specifier(constraint) == specifier


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ({"version": "^1", "extras": ["a", "b"]}, ("x[a,b]>=1,<2", None)),
        ({"version": "*", "markers": "os_name == 'nt'"}, ("x; os_name == 'nt'", None)),
        ({"path": "../x", "develop": True}, ("x", 'x = { path = "../x", editable = true }')),
        ({"git": "https://git.example/x.git", "tag": "v1"}, ("x @ git+https://git.example/x.git@v1", None)),
        ({"url": "https://x.example/x.whl"}, ("x @ https://x.example/x.whl", None)),
        ([{"version": "^1"}, {"version": "^2"}], ("x>=1,<2", None)),
    ],
)
def test_dependencies_of_poetry_are_translated(constraint: object, expected: tuple[str, str | None]) -> None:
    """Extras, markers, paths, repositories and addresses keep their meaning."""
    assert from_poetry("x", constraint) == expected


def test_a_poetry_project_gets_a_complete_project_table(tmp_path: Path) -> None:
    """With its name, its version, its dependencies and a Python that the chassis supports."""
    text = (
        '[tool.poetry]\nname = "triage"\nversion = "0.3"\n[tool.poetry.dependencies]\npython = "^3.11"\nidna = "^3.7"\n'
    )
    write(tmp_path, {PYPROJECT: text + 'lib = { path = "../lib" }\n'})
    lines = missing_settings(tmp_path, NO_SETTINGS, ())[PYPROJECT]
    assert '[project]\nname = "triage"\nversion = "0.3"\nrequires-python = ">=3.12,<4"\n' in lines
    assert 'dependencies = ["idna>=3.7,<4", "lib", "ai-service-chassis"]\n' in lines
    assert 'lib = { path = "../lib" }\n' in lines
    assert '[tool.poetry.dependencies]\nai-service-chassis = { path = "chassis", develop = true }\n' in lines


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        (
            "setup.cfg",
            "[tool:pytest]\ntestpaths = checks\n",
            "[tool:pytest]\npythonpath = . src\ntestpaths = checks tests",
        ),
        ("tox.ini", "[pytest]\npythonpath = src\n", "[pytest]\npythonpath = src ."),
        (".pytest.ini", "[pytest]\n", "[pytest]\npythonpath = . src"),
        ("pytest.toml", '[pytest]\npythonpath = ["src"]\n', '[pytest]\npythonpath = ["."]  # more entries of the list'),
    ],
)
def test_settings_of_pytest_elsewhere(tmp_path: Path, file: str, text: str, lines: str) -> None:
    """They keep taking effect: pyproject.toml gets none, and their own file gets the entries."""
    write(tmp_path, {PYPROJECT: "[project]\n", file: text})
    missing = missing_settings(tmp_path, NO_SETTINGS, ())
    assert missing[file] == lines
    assert "pytest" not in missing[PYPROJECT]
