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
from collections.abc import Callable
from dataclasses import dataclass

HASH_LENGTH = 12


def read_jsonl[T](path: Path, kind: type[T], remedy: str) -> list[T]:
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


def write_jsonl(path: Path, rows: Iterable["DataclassInstance"]) -> None:
    """Write one object a line, in place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(to_json_line(row) for row in rows), encoding="utf-8")


def to_json_line(row: "DataclassInstance") -> str:
    """Return an object as one line."""
    return json.dumps(as_dict(row), ensure_ascii=False) + "\n"


def as_dict(row: "DataclassInstance") -> dict[str, Any]:
    """Return an object's fields by name, as they are: `asdict` copies whatever is in them, which takes far longer."""
    return {name: getattr(row, name) for name in _names(type(row))}


def code_hash(code: Path) -> str:
    """Return a short name for a package, or for a module that is alone; it changes with every file of Python there."""
    files, base = ([code], code.parent) if code.is_file() else (sorted(code.rglob("*.py")), code)
    return json_hash({file.relative_to(base).as_posix(): file.read_text(encoding="utf-8") for file in files})


def json_hash(value: object) -> str:
    """Return a short name for a JSON value, the same for the same value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


@lru_cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@lru_cache
def _names(kind: type["DataclassInstance"]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@dataclass(frozen=True, slots=True)
class Progress:
    """Hears how far a run is: `begin` with what is to come and how many of it, `step` after each."""

    begin: Callable[[str, int], None]
    step: Callable[[], None]


class JsonlWriter[T: "DataclassInstance"]:
    """Rows that are written down: each is on disk before anybody hears of it.

    Args:
        path: The file.
        done: What an earlier, stopped run of the same left.
        progress: Hears of each new one.
    """

    def __init__(self, path: Path, done: Iterable[T], progress: Progress) -> None:
        self.rows = list(done)
        self.progress, self._path = progress, path

    def __enter__(self) -> None:
        """Begin with what is done."""
        write_jsonl(self._path, self.rows)
        self._file = self._path.open("a", encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def append(self, row: T) -> None:
        """Keep one row."""
        self._file.write(to_json_line(row))
        self._file.flush()
        self.rows.append(row)
        self.progress.step()
