"""A newer chassis reads the files of decisions that older releases wrote, because no update ever touches those."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from answer_sets import ROOT
from chassis.config.constraints import Constraints
from chassis.config.ownership import Ownership
from pydantic import BaseModel

FILE = ROOT / "tests/helpers/required_keys.txt"
FILES: dict[str, type[BaseModel]] = {"constraints.toml": Constraints, "ownership.toml": Ownership}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Return the sections that a type is made of: itself, or what its lists and tables hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def required(section: type[BaseModel], above: str) -> Iterator[str]:
    """Return the dotted names of the keys without a default, a section's own first."""
    for name, field in section.model_fields.items():
        key = f"{above}.{field.alias or name}"
        if field.is_required():
            yield key
        for part in models_in(field.annotation):
            yield from required(part, key)


def listed() -> list[str]:
    """Return the keys that may be required."""
    return [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("file", FILES)
def test_a_new_key_has_a_default(file: str) -> None:
    """Give a key that is new a default that repeats what was; only before the first release may the list grow."""
    wanted = list(required(FILES[file], file))
    assert len(wanted) > 10
    assert sorted(set(wanted) - set(listed())) == []


def test_a_key_that_came_later_would_be_seen() -> None:
    """The check knows nested sections, and tells a default from none."""

    class Inner(BaseModel):
        old: int
        later: int
        kind: int = 1

    class Outer(BaseModel):
        table: dict[str, Inner]

    assert list(required(Outer, "f")) == ["f.table", "f.table.old", "f.table.later"]
