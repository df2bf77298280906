"""Every folder of a fleet is a row of the report, with a sentence for whatever cannot be read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet_inspection import inspect
from template_releases import append_line

from benchmarks.clones import rewrite
from fleet.status import MonthlyBudget

pytestmark = pytest.mark.slow

type Damage = Callable[[Path], object]

DAMAGES: dict[str, tuple[Damage, str]] = {
    "no folder": (shutil.rmtree, "There is no such folder"),
    "no .git": (lambda root: shutil.rmtree(root / ".git"), "This folder is not a clone: it has no .git"),
    "a broken .git": (lambda root: (root / ".git/HEAD").unlink(), "not a git repository"),
    "foreign": (
        lambda root: shutil.rmtree(root / "chassis"),
        "It was not generated from this template: it has no chassis/paths.txt",
    ),
    "of another template": (
        lambda root: (root / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8"),
        "no pyproject.toml with [tool.chassis] here or in a folder above",
    ),
    "invalid answers file": (
        lambda root: (root / ".copier-answers.yml").write_text("a: [", encoding="utf-8"),
        ".copier-answers.yml: not valid YAML",
    ),
    "an unknown release": (
        lambda root: rewrite(root / ".copier-answers.yml", "_commit: .*", "_commit: 9.9.9"),
        "it has no release 9.9.9",
    ),
    "invalid TOML": (lambda root: append_line(root / "constraints.toml", "= oops"), "constraints.toml: not valid TOML"),
    "binary data": (
        lambda root: (root / "ownership.toml").write_bytes(b"\xff\xfe\x00"),
        "ownership.toml: not valid TOML",
    ),
    "an unknown key": (
        lambda root: append_line(root / "constraints.toml", "[old]"),
        "constraints.toml: old: unknown key",
    ),
    "a folder for a file": (
        lambda root: [(root / "ownership.toml").unlink(), (root / "ownership.toml").mkdir()],
        "ownership.toml: not a regular file",
    ),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES.values(), ids=DAMAGES)
def test_what_cannot_be_read_becomes_an_error(clone: Path, template: Path, damage: Damage, sentence: str) -> None:
    """The repository is still a row, and counts as unreadable."""
    damage(clone)
    status = inspect(clone, template)
    assert any(sentence in error for error in status.errors), status.errors
    assert "unreadable" in status.concerns


def test_an_error_hides_nothing_else(clone: Path, template: Path) -> None:
    """Without constraints.toml, release and drift are still known."""
    append_line(clone / "constraints.toml", "= oops")
    status = inspect(clone, template)
    assert (status.budget, status.blocking_signoffs) == (None, None)
    assert (status.version, status.commits_behind) == ("1.0.0", 1)


def test_the_budget_is_read_from_constraints_of_another_release(clone: Path, template: Path) -> None:
    """An unknown key makes the file invalid, but not the budget in it."""
    append_line(clone / "constraints.toml", "[of_long_ago]")
    status = inspect(clone, template)
    assert (status.budget, status.blocking_signoffs) == (MonthlyBudget(300), None)
