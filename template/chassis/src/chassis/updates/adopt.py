"""A repository that was there before the chassis: what it keeps, and what its people still have to write."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.derived.registry import DERIVED
from chassis.errors import ConfigError
from chassis.updates.drift import FOLDER, drift_of
from chassis.updates.git import git, names
from chassis.updates.record import FILE, load_record
from chassis.updates.source import clone_of

PROJECT = "pyproject.toml"
INCLUDE = "include chassis/tasks.mk"
IGNORED = (".env", "var/state.db", ".venv/bin")
"""One path of each that must never be committed: secrets, state, installed packages."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that only people may write, because the file was theirs before.

    Args:
        file: Where it belongs.
        lines: What to write there.
    """

    file: str
    lines: str


def adopt(root: Path) -> tuple[tuple[str, ...], tuple[Missing, ...]]:
    """Note which files of the repository stay the team's, and return them with what is still missing.

    No file that git knows is changed.

    Raises:
        ConfigError: Copier has not been here yet, the template cannot be reached, or the record cannot be written.
    """
    record = load_record(root)
    with clone_of(record.source) as template:
        commit = template.commit_of(record.version)
        if commit is None:
            raise ConfigError(record.source, f"it has no release {record.version}", "Copy from a release")
        edited = drift_of(root, template.chassis(commit)).edited
    kept = tuple(sorted({*record.kept, *(path for path in edited if not path.startswith(FOLDER))}))
    _note(root, kept)
    if PROJECT not in _known(root):
        _leave_alone(root)
    return kept, tuple(_missing(root, record.answers))


def _known(root: Path) -> set[str]:
    """Return the paths of the last commit: what was there before."""
    return set(names(root, "ls-tree", "-r", "--name-only", "HEAD"))


def _code(root: Path) -> list[str]:
    """Return what a linter of Python would look at."""
    return sorted(path for path in _known(root) if path.endswith((".py", ".pyi", ".ipynb")))


def _note(root: Path, kept: tuple[str, ...]) -> None:
    file = root / FILE
    text, found = re.subn(
        r"^kept_paths:.*\n(?:[-\s].*\n)*",
        lambda _: f"kept_paths: {json.dumps(kept)}\n",
        file.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    if not found:
        raise ConfigError(FILE, "it has no kept_paths", "Copy from a release that has")
    file.write_text(text, encoding="utf-8")


def _leave_alone(root: Path) -> None:
    """In a new pyproject.toml, take the code that was there before out of the linter's sight."""
    file = root / PROJECT
    text = file.read_text(encoding="utf-8")
    listed = "".join(f"{json.dumps(path)}, " for path in _code(root) if json.dumps(path) not in text)
    file.write_text(
        text.replace('extend-exclude = ["chassis"', f'extend-exclude = [{listed}"chassis"'), encoding="utf-8"
    )


def _missing(root: Path, answers: Any) -> Iterator[Missing]:
    lines = "\n".join(_project_lines(root, answers))
    if lines:
        yield Missing(PROJECT, lines)
    for path in sorted(_known(root) & {derived.path for derived in DERIVED if not derived.yields}):
        yield Missing(
            "ownership.toml", f"# what {path} says; then delete that file, because it will follow from this one"
        )
    if INCLUDE not in (root / "Makefile").read_text(encoding="utf-8").splitlines():
        yield Missing("Makefile", INCLUDE)
    seen = [path for path in IGNORED if not _is_ignored(root, path)]
    if seen:
        yield Missing(".gitignore", "\n".join(path.partition("/")[0] for path in seen))


def _is_ignored(root: Path, path: str) -> bool:
    try:
        return bool(git(root, "check-ignore", "--no-index", path))
    except ConfigError:
        return False


def _project_lines(root: Path, answers: Any) -> Iterator[str]:
    """Return what pyproject.toml lacks; a list that is there already only needs one more entry."""
    content: dict[str, Any] = tomllib.loads((root / PROJECT).read_text(encoding="utf-8"))
    tool: dict[str, Any] = content.get("tool", {})
    uv: dict[str, Any] = tool.get("uv", {})
    package = str(answers["service_name"]).replace("-", "_")
    if "chassis" not in tool:
        yield f'[tool.chassis]\ntask = "{package}.task:TASK"\nforge = "{answers.get("forge", "github")}"\n'
    if not _names_chassis(content.get("project", {}).get("dependencies", [])):
        yield '[project]\ndependencies = ["chassis"]  # one more entry of the list\n'
    if not _names_chassis(content.get("dependency-groups", {}).get("dev", [])):
        yield '[dependency-groups]\ndev = ["chassis[dev]"]  # one more entry of the list\n'
    if "chassis" not in uv.get("workspace", {}).get("members", []):
        yield '[tool.uv.workspace]\nmembers = ["chassis"]\n'
    if "chassis" not in uv.get("sources", {}):
        yield "[tool.uv.sources]\nchassis = { workspace = true }\n"
    if "ruff" not in tool:
        before = ", ".join(json.dumps(path) for path in (*_code(root), "chassis"))
        yield f'[tool.ruff]\nextend = "chassis/ruff.toml"\nextend-exclude = [{before}]\n'
        yield '[tool.ruff.lint.isort]\nknown-third-party = ["chassis"]\n'
    if "ty" not in tool:
        yield '[tool.ty.src]\ninclude = ["evals", "src", "tests"]\n'
    if "pytest" not in tool:
        yield '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = [".", "src"]\n'


def _names_chassis(requirements: list[Any]) -> bool:
    return any(str(requirement).startswith("chassis") for requirement in requirements)
