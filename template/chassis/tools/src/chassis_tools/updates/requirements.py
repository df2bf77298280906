"""Compares the requirements of an existing project with those of the chassis, and translates those of Poetry."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
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
