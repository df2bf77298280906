"""Every repository of a fleet is a row, whatever lies there, and says in a sentence what is wrong with it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet_view import seen
from template_releases import append

from fleet.facts import Budget

pytestmark = pytest.mark.slow

type Break = Callable[[Path], object]

BROKEN: dict[str, tuple[Break, str]] = {
    "no folder": (shutil.rmtree, "There is no such folder"),
    "no git": (lambda root: shutil.rmtree(root / ".git"), "This folder is no clone: it has no .git"),
    "a broken git": (lambda root: (root / ".git/HEAD").unlink(), "fatal: not a git repository"),
    "foreign": (
        lambda root: (root / ".copier-answers.yml").unlink(),
        "It was not made from this template: it has no .copier-answers.yml",
    ),
    "of another template": (
        lambda root: (root / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8"),
        "no pyproject.toml with [tool.chassis] here or in a folder above",
    ),
    "no record": (
        lambda root: (root / ".copier-answers.yml").write_text("a: [", encoding="utf-8"),
        ".copier-answers.yml: not valid YAML",
    ),
    "an unknown release": (
        lambda root: (root / ".copier-answers.yml").write_text("_src_path: x\n_commit: 9.9.9\n", encoding="utf-8"),
        "it has no release 9.9.9",
    ),
    "no TOML": (lambda root: append(root / "constraints.toml", "= oops"), "constraints.toml: not valid TOML"),
    "no text": (lambda root: (root / "ownership.toml").write_bytes(b"\xff\xfe\x00"), "ownership.toml: not valid TOML"),
    "an old key": (
        lambda root: append(root / "constraints.toml", "[old]"),
        "constraints.toml: old: the key means nothing",
    ),
    "a folder for a file": (
        lambda root: [(root / "ownership.toml").unlink(), (root / "ownership.toml").mkdir()],
        "The owners could not be read: IsADirectoryError",
    ),
}


@pytest.mark.parametrize(("harm", "sentence"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong(clone: Path, template: Path, harm: Break, sentence: str) -> None:
    """Whatever lies there, it is a row with a sentence."""
    harm(clone)
    facts = seen(clone, template)
    assert any(sentence in trouble for trouble in facts.troubles), facts.troubles
    assert "unreadable" in facts.concerns


def test_what_can_be_read_is_shown(clone: Path, template: Path) -> None:
    """One broken file hides nothing but what it would have told."""
    append(clone / "constraints.toml", "= oops")
    facts = seen(clone, template)
    assert (facts.budget, facts.due) == (None, None)
    assert (facts.version, facts.behind) == ("1.0.0", 1)


def test_constraints_of_another_release(clone: Path, template: Path) -> None:
    """A file in a form that this release cannot read still tells the budget."""
    append(clone / "constraints.toml", "[of_long_ago]")
    facts = seen(clone, template)
    assert (facts.budget, facts.due) == (Budget(300), None)
