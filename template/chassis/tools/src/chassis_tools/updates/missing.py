"""What only people may write, because the file was theirs before the chassis came: a few lines of each."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chassis.errors import ConfigError
from chassis_tools.governance.registry import DERIVED
from chassis_tools.governance.sync import by_people
from chassis_tools.updates.git import git
from chassis_tools.updates.pyproject import lacking

TASKS = "chassis/tasks.mk"
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""As make looks for them: the first one counts."""
TARGETS = re.compile(r"^(\w[\w ./-]*?)\s*:(?!=)", re.MULTILINE)
HOOKS = ".pre-commit-config.yaml"
IGNORED = {".env": ".env", "var/": "var/state.db", ".venv/": ".venv/bin", "__pycache__/": "src/__pycache__/task.pyc"}
"""What must never be committed, with a path of each: secrets, state, installed packages, bytecode."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Lines that a file of the team's lacks.

    Args:
        file: Where they belong.
        lines: What to write there.
    """

    file: str
    lines: str


def missing(root: Path, answers: Mapping[str, Any], code: Collection[str], kept: Collection[str]) -> Iterator[Missing]:
    """Return what the repository at `root` lacks to work with the chassis.

    Args:
        root: The repository.
        answers: What Copier was told.
        code: The paths of code that was there before.
        kept: The paths of the chassis that stay the team's.

    Raises:
        ConfigError: A file cannot be read.
    """
    for file, lines in lacking(root, answers, code).items():
        yield Missing(file, lines)
    for path in (each.path for each in DERIVED if by_people(root / each.path) and not each.yields):
        yield Missing(
            "ownership.toml", f"# what {path} says; then delete that file, because it will follow from this one"
        )
    if lines := "\n".join(_targets(root)):
        yield Missing(_makefile(root), lines)
    if HOOKS in kept and not _spares_chassis(root / HOOKS):
        yield Missing(HOOKS, "exclude: ^chassis/  # of the whole file, so that no hook of yours edits the chassis")
    if seen := [line for line, path in IGNORED.items() if not _is_ignored(root, path)]:
        yield Missing(".gitignore", "\n".join(seen))


def _makefile(root: Path) -> str:
    there = {path.name for path in root.iterdir()}
    return next((name for name in MAKEFILES if name in there), MAKEFILES[-1])


def _targets(root: Path) -> Iterator[str]:
    """Return what the Makefile lacks; of two targets with one name, make would mix the steps."""
    text = _text(root / _makefile(root))
    both = _names(text) & _names(_text(root / TASKS))
    if both:
        yield f"# and give your own {', '.join(sorted(both))} other names, because the chassis has these too"
    if not re.search(rf"^-?include\s.*{re.escape(TASKS)}", text, re.MULTILINE):
        yield f"include {TASKS}"


def _names(makefile: str) -> set[str]:
    return {name for names in TARGETS.findall(makefile) for name in names.split()}


def _text(file: Path) -> str:
    """Return a text of which only the ASCII part matters, in whatever encoding it is."""
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _spares_chassis(hooks: Path) -> bool:
    import yaml

    try:
        content: object = yaml.safe_load(_text(hooks))
    except yaml.YAMLError:
        return False
    return isinstance(content, dict) and "chassis" in str(cast("dict[str, Any]", content).get("exclude", ""))


def _is_ignored(root: Path, path: str) -> bool:
    try:
        return bool(git(root, "check-ignore", "--no-index", path))
    except ConfigError:
        return False
