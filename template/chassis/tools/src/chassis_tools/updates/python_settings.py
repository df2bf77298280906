"""Finds what `pyproject.toml` of an existing repository lacks, and which of its requirements clash with the chassis."""

import configparser
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from chassis.errors import ConfigError

type Table = Mapping[str, Any]

NEWEST_MINOR = 30
"""Python 3.30 is far in the future: no project allows only versions above it."""


def check_python(root: Path, content: Table) -> None:
    """Check that the project allows a Python that the chassis supports.

    Args:
        root: The repository.
        content: Its `pyproject.toml`.

    Raises:
        ConfigError: It does not. The error names the line.
    """
    supported = SpecifierSet(str(_chassis_project(root, "chassis")["requires-python"]))
    for where, written, specifier in _python_lines(root, content):
        try:
            allowed = SpecifierSet(specifier)
        except InvalidSpecifier:
            continue  # uv reports it with the line
        versions = (f"3.{minor}.{patch}" for minor in range(NEWEST_MINOR) for patch in (0, 1, 99))
        if not any(version in allowed and version in supported for version in versions):
            problem = f"{written!r} allows no Python that the chassis supports, which is {supported}"
            raise ConfigError(where, problem, f"Move the project to Python {supported} first, then try again")


def clashing_requirements(root: Path, content: Table) -> Iterator[tuple[str, str, str]]:
    """Yield each requirement that excludes what the chassis needs: its file, itself, and the chassis' requirement."""
    needed: dict[str, Requirement] = {}
    for folder in ("chassis", "chassis/tools"):
        needed |= {
            canonicalize_name(each.name): each for each in _parsed(_all_requirements(_chassis_project(root, folder)))
        }
    for file, requirement in _team_requirements(root, content):
        other = needed.get(canonicalize_name(requirement.name))
        if other and not _compatible(requirement.specifier, other.specifier):
            yield file, str(requirement), f"{other.name}{other.specifier}"


def from_poetry(name: str, constraint: object) -> tuple[str, str | None]:
    """Return a dependency of Poetry as a standard requirement, and as an entry of `[tool.uv.sources]` if it needs one.

    Args:
        name: The name of the dependency.
        constraint: A version such as `^1.2`, or a table with `version`, `extras`, `markers`, `path`, `git` or `url`.
    """
    if isinstance(constraint, list):
        constraint = cast("list[object]", constraint)[0]
    version_only: dict[str, Any] = {"version": constraint}
    table = cast("dict[str, Any]", constraint) if isinstance(constraint, dict) else version_only
    extras = f"[{','.join(table['extras'])}]" if table.get("extras") else ""
    marker = f"; {table['markers']}" if table.get("markers") else ""
    if "path" in table:
        editable = ", editable = true" if table.get("develop") else ""
        return f"{name}{extras}{marker}", f'{name} = {{ path = "{table["path"]}"{editable} }}'
    if "git" in table:
        revision = next((f"@{table[key]}" for key in ("rev", "tag", "branch") if key in table), "")
        return f"{name}{extras} @ git+{table['git']}{revision}{marker}", None
    if "url" in table:
        return f"{name}{extras} @ {table['url']}{marker}", None
    return f"{name}{extras}{poetry_specifier(str(table.get('version', '*')))}{marker}", None


def poetry_specifier(constraint: str) -> str:
    """Return a version constraint of Poetry, such as `^1.2`, as a standard specifier, such as `>=1.2,<2`."""
    return ",".join(filter(None, (_poetry_part(part.strip()) for part in constraint.partition("||")[0].split(","))))


def _poetry_part(part: str) -> str:
    match = re.fullmatch(r"(\^|~(?!=))\s*(\d+(?:\.\d+)*)(\S*)", part)
    if match is None:
        if part in {"", "*"}:
            return ""
        return f"=={part}" if part[0].isdigit() else part.replace(" ", "")
    sign, release, suffix = match.groups()
    numbers = [int(number) for number in release.split(".")]
    if sign == "^":  # the first number that is not zero may not change
        keep = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        keep = min(1, len(numbers) - 1)
    upper = [*numbers[:keep], numbers[keep] + 1]
    return f">={release}{suffix},<{'.'.join(map(str, upper))}"


def _python_lines(root: Path, content: Table) -> Iterator[tuple[str, str, str]]:
    """Yield where a version of Python is required, what is written there, and that as a standard specifier."""
    if specifier := content.get("project", {}).get("requires-python"):
        yield "pyproject.toml: project.requires-python", str(specifier), str(specifier)
    poetry = content.get("tool", {}).get("poetry", {}).get("dependencies", {})
    if "python" in poetry:
        written = str(poetry["python"])
        yield "pyproject.toml: tool.poetry.dependencies.python", written, poetry_specifier(written)
    file = root / ".python-version"
    if file.is_file() and (match := re.search(r"^\s*(\d+\.\d+)", file.read_text(encoding="utf-8", errors="replace"))):
        yield ".python-version", match[1], f"=={match[1]}.*"


def _team_requirements(root: Path, content: Table) -> Iterator[tuple[str, Requirement]]:
    for each in _parsed(_all_requirements(content.get("project", {}))):
        yield "pyproject.toml", each
    for group in content.get("dependency-groups", {}).values():
        yield from (("pyproject.toml", each) for each in _parsed(line for line in group if isinstance(line, str)))
    poetry = content.get("tool", {}).get("poetry", {})
    groups = [poetry, *poetry.get("group", {}).values()]
    for dependencies in (group.get("dependencies", {}) for group in groups):
        lines = (from_poetry(name, constraint)[0] for name, constraint in dependencies.items() if name != "python")
        yield from (("pyproject.toml", each) for each in _parsed(lines))
    for file in sorted(root.glob("requirements*.txt")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from ((file.name, each) for each in _parsed(line.partition(" #")[0] for line in lines))


def _parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(line.strip())
        except InvalidRequirement:
            continue  # an option such as -r, or a path


def _all_requirements(project: Table) -> list[str]:
    extras = (line for lines in project.get("optional-dependencies", {}).values() for line in lines)
    return [*project.get("dependencies", []), *extras]


def _chassis_project(root: Path, folder: str) -> Table:
    return tomllib.loads((root / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _compatible(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Return whether a version fits both. Their ranges begin and end at versions that they name, so these suffice."""
    named: set[str] = set()
    for specifier in (*one, *other):
        version = specifier.version.removesuffix(".*")
        named |= {version, f"{version}.0.1", f"{version}.post1"}
    return any(version in one and version in other for version in (*filter(_is_version, named), "99999"))


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


PYPROJECT = "pyproject.toml"
RUNTIME, TOOLS = "ai-service-chassis", "ai-service-chassis-tools"
"""The distribution names of the two packages of the chassis, which are not on any package index."""
WORKSPACE_MEMBERS = ("chassis", "chassis/tools")
"""The folders of the two packages."""
EVALUATION = "evaluation"
"""The scope of a repository that keeps its own server, and is only evaluated."""
RUFF_FILES = (".ruff.toml", "ruff.toml")
"""If one of these exists, ruff reads it instead of `pyproject.toml`."""
PYTEST_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
"""If one of these exists, pytest reads it instead of `pyproject.toml`."""
PYTEST_SECTIONS = {"tox.ini": "pytest", "setup.cfg": "tool:pytest"}
"""Files that pytest reads if `pyproject.toml` says nothing about it, with the name of its section there."""
TEAM_FOLDERS = ("evals", "src", "tests")
IMPORT_FOLDERS = (".", "src")
"""The folders that tests import from; the root is included so that a script there need not become a package first."""
MORE_ENTRIES = "  # more entries of the list"


def missing_settings(root: Path, answers: Mapping[str, Any], code: Collection[str]) -> dict[str, str]:
    """Return the lines that each file lacks. A list that exists already only needs more entries.

    Args:
        root: The repository.
        answers: The answers that Copier recorded.
        code: The paths of existing code, which the new checks leave out.

    Raises:
        ConfigError: A file cannot be read.
    """
    content = read_toml(root, PYPROJECT)
    tool: Table = content.get("tool", {})
    lines: dict[str, list[str]] = {PYPROJECT: [*_package_lines(content, answers), *_type_checker_lines(tool, code)]}
    ruff_file = next((name for name in RUFF_FILES if (root / name).is_file()), None)
    excluded = toml_list((*code, "chassis", "*.md"))
    if ruff_file is None:
        lines[PYPROJECT] += _ruff_lines(tool, excluded)
    elif not _excludes_chassis(read_toml(root, ruff_file)):
        lines[ruff_file] = [f"extend-exclude = {excluded}{MORE_ENTRIES}"]
    pytest_file = other_pytest_file(root)
    if pytest_file is None or (pytest_file in PYTEST_SECTIONS and "pytest" in tool):
        lines[PYPROJECT] += _pytest_lines(tool)
    else:
        lines[pytest_file] = list(_pytest_file_lines(root / pytest_file))
    return {file: "\n".join(missing) for file, missing in lines.items() if missing}


def other_pytest_file(root: Path) -> str | None:
    """Return the file from which pytest takes its settings unless `pyproject.toml` has some, or None.

    Raises:
        ConfigError: A file cannot be read.
    """
    files = (name for name in PYTEST_FILES if (root / name).is_file())
    sections = (name for name, section in PYTEST_SECTIONS.items() if _read_ini(root / name).has_section(section))
    return next(files, None) or next(sections, None)


def has_own_lint_rules(root: Path) -> bool:
    """Return whether the repository configures ruff without extending the rules of the chassis."""
    ruff: Table = read_toml(root, PYPROJECT).get("tool", {}).get("ruff", {})
    return any((root / name).is_file() for name in RUFF_FILES) or (bool(ruff) and "extend" not in ruff)


def toml_list(values: Iterable[str]) -> str:
    """Return texts as a TOML array."""
    return f"[{', '.join(map(json.dumps, values))}]"


def read_toml(root: Path, name: str) -> Table:
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
        serves = "serves = false\n" if answers.get("scope") == EVALUATION else ""
        yield f'[tool.chassis]\ntask = "{task}"\nforge = "{answers.get("forge", "github")}"\n{serves}'
    poetry: Table = tool.get("poetry", {})
    if "project" not in content:
        yield _project_lines(poetry, name, runtime, str(answers.get("python_version", "3.12")))
        yield from _extras_lines(poetry)
    elif not _requires_chassis(content["project"].get("dependencies", [])):
        yield f'[project]\ndependencies = ["{runtime}"]{MORE_ENTRIES}\n'
    if not _requires_chassis(content.get("dependency-groups", {}).get("dev", [])):
        yield f'[dependency-groups]\ndev = ["{TOOLS}[dev]"]{MORE_ENTRIES}\n'
    if not set(WORKSPACE_MEMBERS) <= set(uv.get("workspace", {}).get("members", [])):
        yield f"[tool.uv.workspace]\nmembers = {toml_list(WORKSPACE_MEMBERS)}\n"
    sources = [f"{name} = {{ workspace = true }}" for name in (RUNTIME, TOOLS) if name not in uv.get("sources", {})]
    if "project" not in content:
        sources += [source for item in _poetry_dependencies(poetry) if (source := from_poetry(*item)[1])]
    if sources:
        yield "[tool.uv.sources]\n" + "\n".join(sources) + "\n"
    if poetry:
        yield from _poetry_lines(poetry)


def _project_lines(poetry: Table, name: str, runtime: str, python: str) -> str:
    """Return a `[project]`; what `[tool.poetry]` says is taken over, because uv does not read it."""
    # Poetry refuses a lower bound below that of a dependency, here of the chassis.
    parts = poetry_specifier(str(poetry.get("dependencies", {}).get("python", ""))).split(",")
    supported = ",".join([f">={python}", *(part for part in parts if part and not part.startswith(">"))])
    optional = {name for names in poetry.get("extras", {}).values() for name in names}
    requirements = [from_poetry(*item)[0] for item in _poetry_dependencies(poetry) if item[0] not in optional]
    name, version = json.dumps(poetry.get("name", name)), json.dumps(poetry.get("version", "0.1.0"))
    return (
        f"[project]\nname = {name}\nversion = {version}\nrequires-python = {json.dumps(supported)}\n"
        f"dependencies = {toml_list([*requirements, runtime])}\n"
    )


def _extras_lines(poetry: Table) -> Iterator[str]:
    """Yield the optional dependencies, which extras name; Poetry reads its own only without `[project]`."""
    dependencies = dict(_poetry_dependencies(poetry))
    extras = {
        extra: [from_poetry(name, dependencies[name])[0] for name in names if name in dependencies]
        for extra, names in poetry.get("extras", {}).items()
    }
    if extras:
        keys = {extra: json.dumps(extra) if "." in extra else extra for extra in extras}
        lines = (f"{keys[extra]} = {toml_list(requirements)}\n" for extra, requirements in extras.items())
        yield f"[project.optional-dependencies]\n{''.join(lines)}"


def _poetry_dependencies(poetry: Table) -> Iterator[tuple[str, object]]:
    for name, constraint in poetry.get("dependencies", {}).items():
        if name not in {"python", RUNTIME}:
            yield name, constraint


def _poetry_lines(poetry: Table) -> Iterator[str]:
    """Yield where Poetry finds the packages of the chassis, which are on no index."""
    if RUNTIME not in poetry.get("dependencies", {}):
        yield f'[tool.poetry.dependencies]\n{RUNTIME} = {{ path = "chassis", develop = true }}\n'
    if TOOLS not in poetry.get("group", {}).get("dev", {}).get("dependencies", {}):
        yield f'[tool.poetry.group.dev.dependencies]\n{TOOLS} = {{ path = "chassis/tools", develop = true }}\n'


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
    pytest: Table = tool.get("pytest", {})
    pytest = pytest.get("ini_options", pytest)
    more = [f"{key} = {toml_list(entries)}{MORE_ENTRIES}" for key, entries in _missing_in(pytest)]
    if "pytest" not in tool:
        yield f'[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = {toml_list(IMPORT_FOLDERS)}\n'
    elif more:
        yield "[tool.pytest.ini_options]\n" + "\n".join(more) + "\n"


def _pytest_file_lines(file: Path) -> Iterator[str]:
    """Yield the section of pytest with the keys that lack entries; in an INI file with their complete values."""
    section = PYTEST_SECTIONS.get(file.name, "pytest")
    if file.suffix == ".toml":
        settings = read_toml(file.parent, file.name).get("pytest", {})
        lines = [f"{key} = {toml_list(entries)}{MORE_ENTRIES}" for key, entries in _missing_in(settings)]
    else:
        parser = _read_ini(file)
        keys = [key for key in ("pythonpath", "testpaths") if parser.has_option(section, key)]
        settings = {key: parser.get(section, key).split() for key in keys}
        lines = [f"{key} = {' '.join((*settings.get(key, ()), *entries))}" for key, entries in _missing_in(settings)]
    if lines:
        yield "\n".join((f"[{section}]", *lines))


def _missing_in(settings: Table) -> Iterator[tuple[str, list[str]]]:
    """Yield the entries without which pytest cannot import the task, or does not find its tests."""
    if folders := [folder for folder in IMPORT_FOLDERS if folder not in settings.get("pythonpath", [])]:
        yield "pythonpath", folders
    testpaths = settings.get("testpaths")
    if testpaths and not {"tests", "."} & {path.strip("/") for path in testpaths}:
        yield "testpaths", ["tests"]


def _read_ini(file: Path) -> configparser.ConfigParser:
    """Return the content of an INI file; empty if there is none."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(file.name, f"not valid ({error})", "Fix it, then try again") from None
    return parser
