"""JSON Lines files: every step of an evaluation reads and writes one JSON object per line."""

import codecs
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


def split_lines(content: bytes) -> list[bytes]:
    r"""Return the lines of a file without their ends and without a byte order mark.

    Only `\n` ends a line: JSON may hold other line separators, such as U+2028, within a string.
    """
    return content.removeprefix(codecs.BOM_UTF8).split(b"\n")


def read_jsonl[T](path: Path, kind: type[T], remedy: str, *, may_be_cut: bool = False) -> list[T]:
    """Return every line as an object of `kind`, blank lines excepted; a missing file has no lines.

    Args:
        path: The file.
        kind: A dataclass or a model.
        remedy: How the error ends.
        may_be_cut: Whether to leave out a last line without an end, which a killed process did not finish writing.

    Raises:
        ConfigError: A line does not fit `kind`; the error names file, line and field.
    """
    if not path.exists():
        return []
    adapter, rows = _adapter(kind), list[T]()
    lines = split_lines(path.read_bytes())
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(adapter.validate_json(line))
        except ValidationError as error:
            if may_be_cut and number == len(lines):
                break
            reason = config_error_from(f"{path.parent.name}/{path.name} line {number}", error)
            raise ConfigError(reason.where, reason.problem, remedy) from None
    return rows


def write_jsonl(path: Path, rows: Iterable["DataclassInstance"]) -> None:
    """Write one object per line, replacing the file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text("".join(to_json_line(row) for row in rows), encoding="utf-8", newline="\n")
    unfinished.replace(path)


def to_json_line(row: "DataclassInstance") -> str:
    """Return a dataclass as one line of JSON, line break included."""
    return json.dumps(as_dict(row), ensure_ascii=False, default=as_dict) + "\n"


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
        self._file = self._path.open("a", encoding="utf-8", newline="\n")
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
