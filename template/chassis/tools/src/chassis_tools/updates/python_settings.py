"""Finds what `pyproject.toml`, `ruff.toml` and `pytest.ini` of an existing repository lack to work with the chassis."""

import configparser
import json
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chassis.errors import ConfigError

PYPROJECT = "pyproject.toml"
RUNTIME, TOOLS = "ai-service-chassis", "ai-service-chassis-tools"
"""The distribution names of the two packages of the chassis, which are not on any package index."""
WORKSPACE_MEMBERS = ("chassis", "chassis/tools")
"""The folders of the two packages."""
RUFF_FILES = (".ruff.toml", "ruff.toml")
"""If one of these exists, ruff reads it instead of `pyproject.toml`."""
PYTEST_FILE = "pytest.ini"
"""If it exists, pytest reads it instead of `pyproject.toml`."""
TEAM_FOLDERS = ("evals", "src", "tests")
IMPORT_FOLDERS = (".", "src")
"""The folders that tests import from; the root is included so that a script there need not become a package first."""
MORE_ENTRIES = "  # more entries of the list"

type Table = Mapping[str, Any]


def missing_settings(root: Path, answers: Mapping[str, Any], code: Collection[str]) -> dict[str, str]:
    """Return the lines that each file lacks. A list that exists already only needs more entries.

    Args:
        root: The repository.
        answers: The answers that Copier recorded.
        code: The paths of existing code, which the new checks leave out.

    Raises:
        ConfigError: A file cannot be read.
    """
    content = _read_toml(root, PYPROJECT)
    tool: Table = content.get("tool", {})
    lines: dict[str, list[str]] = {PYPROJECT: [*_package_lines(content, answers), *_type_checker_lines(tool, code)]}
    ruff_file = next((name for name in RUFF_FILES if (root / name).is_file()), None)
    excluded = toml_list((*code, "chassis", "*.md"))
    if ruff_file is None:
        lines[PYPROJECT] += _ruff_lines(tool, excluded)
    elif not _excludes_chassis(_read_toml(root, ruff_file)):
        lines[ruff_file] = [f"extend-exclude = {excluded}{MORE_ENTRIES}"]
    if not (root / PYTEST_FILE).is_file():
        lines[PYPROJECT] += _pytest_lines(tool)
    elif not set(IMPORT_FOLDERS) <= _pythonpath_of(root / PYTEST_FILE):
        lines[PYTEST_FILE] = [f"pythonpath = {' '.join(IMPORT_FOLDERS)}"]
    return {file: "\n".join(missing) for file, missing in lines.items() if missing}


def has_own_lint_rules(root: Path) -> bool:
    """Return whether the repository configures ruff without extending the rules of the chassis."""
    ruff: Table = _read_toml(root, PYPROJECT).get("tool", {}).get("ruff", {})
    return any((root / name).is_file() for name in RUFF_FILES) or (bool(ruff) and "extend" not in ruff)


def toml_list(values: Iterable[str]) -> str:
    """Return texts as a TOML array."""
    return f"[{', '.join(map(json.dumps, values))}]"


def _read_toml(root: Path, name: str) -> Table:
    """Return the content of a TOML file; empty if there is none."""
    file = root / name
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise ConfigError(name, f"not valid TOML ({error})", "Fix it, then try again") from None


def _package_lines(content: Table, answers: Mapping[str, Any]) -> Iterator[str]:
    name, provider = str(answers["service_name"]), answers.get("provider")
    runtime = f"{RUNTIME}[{provider}]" if provider in {"anthropic", "google"} else RUNTIME
    tool: Table = content.get("tool", {})
    uv: Table = tool.get("uv", {})
    if "chassis" not in tool:
        task = f"{name.replace('-', '_')}.task:TASK"
        yield f'[tool.chassis]\ntask = "{task}"\nforge = "{answers.get("forge", "github")}"\n'
    if "project" not in content:
        python = answers.get("python_version", "3.12")
        yield (
            f'[project]\nname = "{name}"\nversion = "0.1.0"\nrequires-python = ">={python}"\n'
            f'dependencies = ["{runtime}"]\n'
        )
    elif not _requires_chassis(content["project"].get("dependencies", [])):
        yield f'[project]\ndependencies = ["{runtime}"]{MORE_ENTRIES}\n'
    if not _requires_chassis(content.get("dependency-groups", {}).get("dev", [])):
        yield f'[dependency-groups]\ndev = ["{TOOLS}[dev]"]{MORE_ENTRIES}\n'
    if not set(WORKSPACE_MEMBERS) <= set(uv.get("workspace", {}).get("members", [])):
        yield f"[tool.uv.workspace]\nmembers = {toml_list(WORKSPACE_MEMBERS)}\n"
    sources = [f"{name} = {{ workspace = true }}\n" for name in (RUNTIME, TOOLS) if name not in uv.get("sources", {})]
    if sources:
        yield "[tool.uv.sources]\n" + "".join(sources)


def _requires_chassis(requirements: Iterable[Any]) -> bool:
    return any(str(requirement).startswith(RUNTIME) for requirement in requirements)


def _type_checker_lines(tool: Table, code: Collection[str]) -> Iterator[str]:
    if "ty" not in tool:
        existing = [path for path in code if path.startswith(tuple(f"{folder}/" for folder in TEAM_FOLDERS))]
        exclude = f"exclude = {toml_list(existing)}\n" if existing else ""
        yield f"[tool.ty.src]\ninclude = {toml_list(TEAM_FOLDERS)}\n{exclude}"


def _ruff_lines(tool: Table, excluded: str) -> Iterator[str]:
    if "ruff" not in tool:
        yield f'[tool.ruff]\nextend = "chassis/ruff.toml"\nextend-exclude = {excluded}\n'
        yield '[tool.ruff.lint.isort]\nknown-third-party = ["chassis", "chassis_tools"]\n'
    elif not _excludes_chassis(tool["ruff"]):
        yield f"[tool.ruff]\nextend-exclude = {excluded}{MORE_ENTRIES}\n"


def _excludes_chassis(ruff: Table) -> bool:
    return "chassis" in (*ruff.get("exclude", ()), *ruff.get("extend-exclude", ()))


def _pytest_lines(tool: Table) -> Iterator[str]:
    if "pytest" not in tool:
        yield f'[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = {toml_list(IMPORT_FOLDERS)}\n'
    elif not set(IMPORT_FOLDERS) <= set(tool["pytest"].get("ini_options", tool["pytest"]).get("pythonpath", [])):
        yield f"[tool.pytest.ini_options]\npythonpath = {toml_list(IMPORT_FOLDERS)}{MORE_ENTRIES}\n"


def _pythonpath_of(ini: Path) -> set[str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(ini, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(ini.name, f"not valid ({error})", "Fix it, then try again") from None
    return set(parser.get("pytest", "pythonpath", fallback="").split())
