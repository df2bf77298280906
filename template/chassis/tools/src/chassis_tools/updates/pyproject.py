"""What the settings of Python's tools lack in a repository that had its own."""

import configparser
import json
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chassis.errors import ConfigError

PROJECT = "pyproject.toml"
RUNTIME, TOOLS = "ai-service-chassis", "ai-service-chassis-tools"
"""The names of the two packages of the chassis, which no package index knows."""
MEMBERS = ("chassis", "chassis/tools")
"""Where they are."""
RUFF = (".ruff.toml", "ruff.toml")
"""What ruff reads instead of `pyproject.toml`, where there is one."""
PYTEST = "pytest.ini"
"""What pytest reads instead."""
TYPED = ("evals", "src", "tests")
"""The folders of the team's code."""
IMPORTED = (".", "src")
"""Where tests import from, so that a script in the root need not become a package first."""
MORE = "  # more entries of the list"

type Content = Mapping[str, Any]


def read_toml(root: Path, name: str) -> Content:
    """Return the content of a TOML file in the root; empty if there is none.

    Raises:
        ConfigError: It is not TOML, or not UTF-8.
    """
    file = root / name
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise ConfigError(name, f"not valid TOML ({error})", "Mend it, then try again") from None


def lacking(root: Path, answers: Mapping[str, Any], code: Collection[str]) -> dict[str, str]:
    """Return the lines that each file lacks; a list that is there already only needs more entries.

    Args:
        root: The repository.
        answers: What Copier was told.
        code: Paths of code that was there before, and that the new checks leave alone.

    Raises:
        ConfigError: A file cannot be read.
    """
    content = read_toml(root, PROJECT)
    tool: Content = content.get("tool", {})
    excluded = listed((*code, "chassis", "*.md"))
    lines = [*_package(content, tool, answers), *_types(tool, code)]
    found: dict[str, list[str]] = {PROJECT: lines}
    own = next((name for name in RUFF if (root / name).is_file()), None)
    if own:
        if not _leaves_chassis(read_toml(root, own)):
            found[own] = [f"extend-exclude = {excluded}{MORE}"]
    elif "ruff" not in tool:
        lines.append(f'[tool.ruff]\nextend = "chassis/ruff.toml"\nextend-exclude = {excluded}\n')
        lines.append('[tool.ruff.lint.isort]\nknown-third-party = ["chassis", "chassis_tools"]\n')
    elif not _leaves_chassis(tool["ruff"]):
        lines.append(f"[tool.ruff]\nextend-exclude = {excluded}{MORE}\n")
    if (root / PYTEST).is_file():
        if not set(IMPORTED) <= _pythonpath_of(root / PYTEST):
            found[PYTEST] = [f"pythonpath = {' '.join(IMPORTED)}"]
    else:
        lines.extend(_tests(tool))
    return {file: "\n".join(lines) for file, lines in found.items() if lines}


def has_own_rules(root: Path) -> bool:
    """Say whether the repository has a linter's rules that are not the chassis'."""
    ruff: Content = read_toml(root, PROJECT).get("tool", {}).get("ruff", {})
    return any((root / name).is_file() for name in RUFF) or (bool(ruff) and "extend" not in ruff)


def listed(values: Iterable[str]) -> str:
    """Return values as a list of TOML."""
    return f"[{', '.join(map(json.dumps, values))}]"


def _package(content: Content, tool: Content, answers: Mapping[str, Any]) -> Iterator[str]:
    name, provider = str(answers["service_name"]), answers.get("provider")
    runtime = f"{RUNTIME}[{provider}]" if provider in {"anthropic", "google"} else RUNTIME
    uv: Content = tool.get("uv", {})
    if "chassis" not in tool:
        task = f"{name.replace('-', '_')}.task:TASK"
        yield f'[tool.chassis]\ntask = "{task}"\nforge = "{answers.get("forge", "github")}"\n'
    if "project" not in content:
        python = answers.get("python_version", "3.12")
        yield (
            f'[project]\nname = "{name}"\nversion = "0.1.0"\nrequires-python = ">={python}"\n'
            f'dependencies = ["{runtime}"]\n'
        )
    elif not _names_chassis(content["project"].get("dependencies", [])):
        yield f'[project]\ndependencies = ["{runtime}"]{MORE}\n'
    if not _names_chassis(content.get("dependency-groups", {}).get("dev", [])):
        yield f'[dependency-groups]\ndev = ["{TOOLS}[dev]"]{MORE}\n'
    if not set(MEMBERS) <= set(uv.get("workspace", {}).get("members", [])):
        yield f"[tool.uv.workspace]\nmembers = {listed(MEMBERS)}\n"
    lines = [f"{name} = {{ workspace = true }}\n" for name in (RUNTIME, TOOLS) if name not in uv.get("sources", {})]
    if lines:
        yield "[tool.uv.sources]\n" + "".join(lines)


def _types(tool: Content, code: Collection[str]) -> Iterator[str]:
    if "ty" not in tool:
        old = [path for path in code if path.startswith(tuple(f"{folder}/" for folder in TYPED))]
        yield f"[tool.ty.src]\ninclude = {listed(TYPED)}\n" + (f"exclude = {listed(old)}\n" if old else "")


def _tests(tool: Content) -> Iterator[str]:
    if "pytest" not in tool:
        yield f'[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = {listed(IMPORTED)}\n'
    elif not set(IMPORTED) <= set(tool["pytest"].get("ini_options", tool["pytest"]).get("pythonpath", [])):
        yield f"[tool.pytest.ini_options]\npythonpath = {listed(IMPORTED)}{MORE}\n"


def _leaves_chassis(ruff: Content) -> bool:
    return "chassis" in (*ruff.get("exclude", ()), *ruff.get("extend-exclude", ()))


def _pythonpath_of(ini: Path) -> set[str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(ini, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(ini.name, f"not valid ({error})", "Mend it, then try again") from None
    return set(parser.get("pytest", "pythonpath", fallback="").split())


def _names_chassis(requirements: Iterable[Any]) -> bool:
    return any(str(requirement).startswith(RUNTIME) for requirement in requirements)
