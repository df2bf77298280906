"""JSON Lines files: every step of an evaluation reads and writes one JSON object per line."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from chassis.config.toml_file import config_error_from
from chassis.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def read_jsonl[T](path: Path, kind: type[T], remedy: str) -> list[T]:
    """Return every line as an object of `kind`; a missing file has no lines.

    Raises:
        ConfigError: A line does not fit `kind`; the error names file, line and field, and ends with `remedy`.
    """
    if not path.exists():
        return []
    adapter, rows = _adapter(kind), list[T]()
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(adapter.validate_json(line))
            except ValidationError as error:
                reason = config_error_from(f"{path.parent.name}/{path.name} line {number}", error)
                raise ConfigError(reason.where, reason.problem, remedy) from None
    return rows


def write_jsonl(path: Path, rows: Iterable["DataclassInstance"]) -> None:
    """Write one object per line, replacing the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(to_json_line(row) for row in rows), encoding="utf-8")


def to_json_line(row: "DataclassInstance") -> str:
    """Return a dataclass as one line of JSON, line break included."""
    return json.dumps(as_dict(row), ensure_ascii=False) + "\n"


def as_dict(row: "DataclassInstance") -> dict[str, Any]:
    """Return a dataclass's fields by name without copying their values, unlike the much slower `asdict`."""
    return {name: getattr(row, name) for name in _field_names(type(row))}


class JsonlWriter[T: "DataclassInstance"]:
    """Appends rows to a file and flushes each, so that a run that is stopped keeps what it paid for.

    Args:
        path: The file; its former content is replaced by `rows`.
        rows: What an earlier, stopped run wrote.
    """

    def __init__(self, path: Path, rows: Iterable[T] = ()) -> None:
        self.rows = list(rows)
        self._path = path

    def __enter__(self) -> "JsonlWriter[T]":
        """Write the earlier rows and keep the file open."""
        write_jsonl(self._path, self.rows)
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def append(self, row: T) -> None:
        """Write one row to disk and add it to `rows`."""
        self._file.write(to_json_line(row))
        self._file.flush()
        self.rows.append(row)


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks of a progress bar.

    Args:
        start: Called with the name of a step, such as `answers`, and the number of rows it will write.
        advance: Called after each row.
    """

    start: Callable[[str, int], None]
    advance: Callable[[], None]


@lru_cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@lru_cache
def _field_names(kind: type["DataclassInstance"]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
