"""Imports point one way: also in what a team extends, and in the template's own scripts, benchmarks and tests."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from answer_sets import ROOT

SHAPES = {path.name: path / "src/{{ package_name }}" for path in ROOT.glob("template/{{ shape_* }}")}
PLACES = {**SHAPES, **{name: ROOT / name for name in ("benchmarks", "scripts", "tests")}}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_goes_round_in_circles(place: str) -> None:
    """The modules of a folder can be put in an order in which each imports only earlier ones."""
    files = {file.stem: file for file in PLACES[place].rglob("*.py")}

    order = list(
        TopologicalSorter({name: imports_of(file) & set(files) - {name} for name, file in files.items()}).static_order()
    )

    assert set(order) == set(files)
    assert order


def test_a_task_is_imported_by_nothing_of_its_package() -> None:
    """In the shape `answer` the arrows go from the task down to its prompts and its search."""
    folder = SHAPES["{{ shape_answer }}"]

    assert imports_of(folder / "search.py").isdisjoint({"prompts", "task"})
    assert imports_of(folder / "prompts.py").isdisjoint({"load_search", "task"})


def imports_of(file: Path) -> set[str]:
    """Return the last names of what a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=imported):
                names |= {name.name.rpartition(".")[2] for name in imported}
            case ast.ImportFrom(module=module, names=imported):
                names |= {name.name for name in imported} | {(module or "").rpartition(".")[2]}
            case _:
                pass
    return names
