"""Files of one JSON object a line: what every step of an evaluation reads and writes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from chassis.config.toml_file import config_error_from
from chassis.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

HASH_LENGTH = 12


def read_lines[T](path: Path, kind: type[T], remedy: str) -> list[T]:
    """Return every line as an object of `kind`; a file that is not there has none.

    Raises:
        ConfigError: A line cannot be read; it names file, line and field.
    """
    if not path.exists():
        return []
    adapter, rows = _adapter(kind), list[T]()
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(adapter.validate_json(line))
            except ValidationError as error:
                named = config_error_from(f"{path.parent.name}/{path.name} line {number}", error)
                raise ConfigError(named.where, named.problem, remedy) from None
    return rows


def write_lines(path: Path, rows: Iterable["DataclassInstance"]) -> None:
    """Write one object a line, in place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line_of(row) for row in rows), encoding="utf-8")


def line_of(row: "DataclassInstance") -> str:
    """Return an object as one line."""
    return json.dumps(facts_of(row), ensure_ascii=False) + "\n"


def facts_of(row: "DataclassInstance") -> dict[str, Any]:
    """Return an object's fields by name, as they are: `asdict` copies whatever is in them, which takes far longer."""
    return {name: getattr(row, name) for name in _names(type(row))}


def code_digest(code: Path) -> str:
    """Return a short name for a package, or for a module that is alone; it changes with every file of Python there."""
    files, base = ([code], code.parent) if code.is_file() else (sorted(code.rglob("*.py")), code)
    return digest({file.relative_to(base).as_posix(): file.read_text(encoding="utf-8") for file in files})


def digest(value: object) -> str:
    """Return a short name for a JSON value, the same for the same value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


@lru_cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@lru_cache
def _names(kind: type["DataclassInstance"]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
