"""A newer chassis still reads files that an older release generated, because updates never change them."""

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
    """Return the sections in a type: the type itself, or the sections in its lists and tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def required_keys(section: type[BaseModel], prefix: str) -> Iterator[str]:
    """Return the dotted names of the keys without a default."""
    for name, field in section.model_fields.items():
        key = f"{prefix}.{field.alias or name}"
        if field.is_required():
            yield key
        for part in models_in(field.annotation):
            yield from required_keys(part, key)


def allowed_keys() -> list[str]:
    """Return the keys that may be required, from `required_keys.txt`."""
    return [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("file", FILES)
def test_a_new_key_has_a_default(file: str) -> None:
    """A new key needs a default that keeps the former behavior. The list may grow before the first release only."""
    keys = list(required_keys(FILES[file], file))
    assert len(keys) > 10
    assert sorted(set(keys) - set(allowed_keys())) == []


def test_a_new_required_key_is_detected() -> None:
    """Nested sections are searched, and keys with a default are left out."""

    class Inner(BaseModel):
        old: int
        later: int
        kind: int = 1

    class Outer(BaseModel):
        table: dict[str, Inner]

    assert list(required_keys(Outer, "f")) == ["f.table", "f.table.old", "f.table.later"]
