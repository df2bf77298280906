"""A repository that was there before the chassis: what it keeps, and what its people still have to write."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from chassis.errors import ConfigError
from chassis_tools.updates.drift import FOLDER, drift_of
from chassis_tools.updates.git import git, names
from chassis_tools.updates.missing import Missing, missing
from chassis_tools.updates.pyproject import IMPORTED, PROJECT, TYPED, has_own_rules, listed
from chassis_tools.updates.record import FILE, load_record
from chassis_tools.updates.source import clone_of

CODE = (".py", ".pyi", ".ipynb")
"""What a linter of Python looks at."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """How far a repository has come.

    Args:
        kept: Paths of the chassis that stay the team's.
        missing: What people have to write.
        proof: The command that installs everything and proves that it works.
    """

    kept: tuple[str, ...]
    missing: tuple[Missing, ...]
    proof: str


def adopt(root: Path) -> Adoption:
    """Note which files of the repository stay the team's, and say what is still missing.

    No file that git knows is changed.

    Raises:
        ConfigError: Copier has not been here yet, nothing was committed before, the template cannot be reached, or a
            file cannot be read or written.
    """
    record = load_record(root)
    known = _known(root)
    with clone_of(record.source) as template:
        commit = template.commit_of(record.version)
        if commit is None:
            raise ConfigError(record.source, f"it has no release {record.version}", "Copy from a release")
        edited = drift_of(root, template.chassis(commit, forge=record.forge)).edited
    kept = tuple(sorted({*record.kept, *(path for path in edited if not path.startswith(FOLDER))}))
    _note(root, kept)
    code = _code(root, known)
    if PROJECT not in known:
        _leave_alone(root, code)
    return Adoption(kept, tuple(missing(root, record.answers, code, kept)), _proof(root, record.answers))


def _known(root: Path) -> set[str]:
    """Return the paths of the last commit: what was there before."""
    try:
        git(root, "rev-parse", "--verify", "HEAD")
    except ConfigError:
        remedy = "Commit what was there before Copier came, after `git init` if need be; then try again"
        raise ConfigError("git", "nothing was ever committed here", remedy) from None
    return set(names(root, "ls-tree", "-r", "--name-only", "HEAD"))


def _code(root: Path, known: set[str]) -> list[str]:
    """Return the code that was there before, as few paths as cover it and nothing that is new."""
    new = set(names(root, "ls-files", "--cached", "--others", "--exclude-standard")) - known
    around = {folder for path in new for folder in PurePosixPath(path).parents}
    covering: set[str] = set()
    for path in known:
        if path.endswith(CODE) and not path.startswith(FOLDER):
            above = reversed(PurePosixPath(path).parents[:-1])
            covering.add(next((str(folder) for folder in above if folder not in around), path))
    return sorted(covering)


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


def _leave_alone(root: Path, code: list[str]) -> None:
    """In a new pyproject.toml, take the code that was there out of the checks' sight, and let tests import it."""
    file = root / PROJECT
    text = file.read_text(encoding="utf-8")
    unlisted = "".join(f"{json.dumps(path)}, " for path in code if json.dumps(path) not in text)
    text = text.replace('extend-exclude = ["chassis"', f'extend-exclude = [{unlisted}"chassis"')
    typed = [path for path in code if path.partition("/")[0] in TYPED]
    included = f"[tool.ty.src]\ninclude = {listed(TYPED)}\n"
    if typed and f"{included}exclude" not in text:
        text = text.replace(included, f"{included}exclude = {listed(typed)}\n")
    if "pythonpath" not in text:
        tests = 'testpaths = ["tests"]\n'
        text = text.replace(tests, f"{tests}pythonpath = {listed(IMPORTED)}\n")
    file.write_text(text, encoding="utf-8")


def _proof(root: Path, answers: Mapping[str, Any]) -> str:
    """Return how to prove it; where the team has rules of its own, what is new follows them first."""
    if not has_own_rules(root):
        return "make setup check"
    package = f"src/{str(answers['service_name']).replace('-', '_')}"
    new = " ".join(path for path in ("evals", package, "tests/test_task.py") if (root / path).exists())
    ruff = "sh chassis/uv run --frozen ruff"
    return f"make setup && {ruff} check --quiet --fix {new} && {ruff} format --quiet {new} && make check"
