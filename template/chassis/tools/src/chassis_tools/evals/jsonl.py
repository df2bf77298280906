"""JSON Lines files: every step of an evaluation reads and writes one JSON object per line."""

import codecs
import json
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from chassis.config.toml_file import check_regular, config_error_from
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
        ConfigError: The file cannot be read, or a line does not fit `kind`; the error names file, line and field.
    """
    rows, lines = list[T](), split_lines(_read_bytes(path, remedy) or b"")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(_parse(line, kind, f"{path_from_root(path)} line {number}", remedy))
        except ConfigError:
            if not (may_be_cut and number == len(lines)):
                raise
    return rows


def read_json[T](path: Path, kind: type[T], remedy: str) -> T | None:
    """Return the content of a JSON file as an object of `kind`, or None if there is no such file; see `read_jsonl`."""
    content = _read_bytes(path, remedy)
    return None if content is None else _parse(content, kind, path_from_root(path), remedy)


def path_from_root(path: Path) -> str:
    """Return a path from the root of its repository, as errors name files."""
    root = next((folder for folder in path.parents if (folder / "pyproject.toml").is_file()), None)
    return (path.relative_to(root) if root else path).as_posix()


@contextmanager
def explained_writes() -> Generator[None]:
    """Raise a `ConfigError` that names what is in the way of writing, such as a folder in the place of a file."""
    try:
        yield
    except OSError as error:
        path = Path(error.filename2 or error.filename or "")
        obstacle = next((each for each in (path, *path.parents) if each.exists()), path)
        problem, remedy = f"it cannot be written ({error.strerror})", "Remove it or correct its permissions"
        raise ConfigError(path_from_root(obstacle), problem, f"{remedy}, and run again") from None


def _read_bytes(path: Path, remedy: str) -> bytes | None:
    try:
        if not path.is_dir():  # the error of reading a folder says enough
            check_regular(path, path_from_root(path))
        return path.read_bytes() if path.exists() else None
    except OSError as error:
        raise ConfigError(path_from_root(path), f"it cannot be read ({error.strerror})", remedy) from None


def _parse[T](content: bytes, kind: type[T], where: str, remedy: str) -> T:
    try:
        return _adapter(kind).validate_json(content)
    except ValidationError as error:
        reason = config_error_from(where, error)
        raise ConfigError(reason.where, reason.problem, remedy) from None


def write_jsonl(path: Path, rows: Iterable["DataclassInstance"]) -> None:
    """Write one object per line, replacing the file as a whole; see `replace_file`."""
    replace_file(path, "".join(to_json_line(row) for row in rows).encode())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file as a whole; see `explained_writes`."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with explained_writes():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
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
