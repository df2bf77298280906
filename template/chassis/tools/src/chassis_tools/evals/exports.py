"""Reads an export of another system, such as tickets or chat logs, as questions and answers: CSV or JSON Lines."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from chassis.config.typed_values import read_typed, value_to_json
from chassis.contract import Task
from chassis.errors import ConfigError
from chassis_tools.evals.identity import json_hash
from chassis_tools.evals.new_cases import NewCase

MAX_CHARACTERS = 100_000
"""Of one value. A longer one is a mistake in the quotes of the file more often than a question."""
MAX_BYTES, MAX_ROWS = 50_000_000, 5_000
"""Of one file. Each row is searched for sensitive values and compared with all cases, and asked in every evaluation."""
SEPARATORS = ",;\t"
"""Those that spreadsheets write."""

SEPARATOR_HINT = re.compile(r'"?sep=([^\r\n"])"?\r?\n', re.IGNORECASE)

type ExportRow = tuple[str, Mapping[str, str]]
"""The values of a row by the names of their columns, after its place, such as `tickets.csv line 3`."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that are read; the others are ignored."""

    question: str
    answer: str


def read_export(path: Path, columns: Columns, task: Task[Any, Any]) -> list[NewCase]:
    """Return each row as a case.

    A value is plain text if the task's type has a single required field, else JSON.

    Raises:
        ConfigError: The file is no CSV or JSON Lines in UTF-8, lacks a column, or has a value that does not fit.
    """
    match path.suffix.lower():
        case ".csv":
            rows = _csv_rows(path, columns)
        case ".jsonl":
            rows = _jsonl_rows(path, columns)
        case other:
            raise ConfigError(path.name, f"the name ends in {other!r}", "Name a .csv or .jsonl file")
    cases = [_case(path, place, row, columns, task) for place, row in islice(rows, MAX_ROWS)]
    if next(rows, None):
        problem = f"the file has more than {MAX_ROWS:,} rows"
        raise ConfigError(path.name, problem, "Keep those that show what callers ask, or split the file")
    if not cases:
        raise ConfigError(path.name, "the file has no rows", "Export the tickets again")
    return cases


def _case(path: Path, place: str, row: Mapping[str, str], columns: Columns, task: Task[Any, Any]) -> NewCase:
    for column in (columns.question, columns.answer):
        if not row[column].strip():
            raise ConfigError(f"{place}: {column}", "the value is empty", "Fill it in, or remove the row")
        if len(row[column]) > MAX_CHARACTERS:
            problem = f"the value has {len(row[column]):,} characters, more than {MAX_CHARACTERS:,}"
            raise ConfigError(f"{place}: {column}", problem, "Check the quotes before it, or shorten it")
        if "\0" in row[column]:
            raise ConfigError(f"{place}: {column}", "it contains a NUL character", "Remove it")
    question = value_to_json(read_typed(task.takes, row[columns.question], f"{place}: {columns.question}"))
    answer = value_to_json(read_typed(task.gives, row[columns.answer], f"{place}: {columns.answer}"))
    name = f"{path.stem}-{json_hash([question, answer])}"
    return NewCase(
        id=name, input=cast("JsonValue", question), expected=answer, tags=("imported",), source={"file": path.name}
    )


def _csv_rows(path: Path, columns: Columns) -> Iterator[ExportRow]:
    text, separator, before = _without_hint(_text(path))
    csv.field_size_limit(2 * MAX_CHARACTERS)
    # Only these line ends: a value may hold other line separators, such as U+2028.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator or _separator(text, columns), strict=True)
    header: list[str] = []
    try:
        for values in reader:
            place = f"{path.name} line {before + reader.line_num}"
            if not any(value.strip() for value in values):
                continue  # spreadsheets write such rows below the last one
            if not header:
                header = [name.strip() for name in values]
                _check_columns(path.name, header, columns)
            elif len(values) != len(header):
                problem = f"the row has {len(values)} values, the header {len(header)}"
                raise ConfigError(place, problem, "Put a value that contains the separator in double quotes")
            else:
                yield place, dict(zip(header, (value.replace("\r\n", "\n") for value in values), strict=True))
    except csv.Error as error:
        where = f"{path.name} line {before + reader.line_num}"
        raise ConfigError(where, f"not valid CSV ({error})", "Correct the quotes of that row") from None


def _without_hint(text: str) -> tuple[str, str, int]:
    """Return a text without blank lines at the top, and without a hint such as `sep=;`, which Excel writes there.

    Returns:
        The text, the separator if there is a hint, and the number of lines that were removed.
    """
    rest = text.lstrip("\r\n")
    removed = text[: len(text) - len(rest)].count("\n")
    if hint := SEPARATOR_HINT.match(rest):
        return rest[hint.end() :], hint[1], removed + 1
    return rest, "", removed


def _separator(text: str, columns: Columns) -> str:
    """Return the separator with which the header has the columns; a comma if none has."""
    first = text.splitlines()[0]
    for separator in SEPARATORS:
        if {columns.question, columns.answer} <= {
            name.strip() for name in next(csv.reader([first], delimiter=separator))
        }:
            return separator
    return SEPARATORS[0]


def _jsonl_rows(path: Path, columns: Columns) -> Iterator[ExportRow]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        place = f"{path.name} line {number}"
        if line.strip():
            row = _json_object(line, place)
            _check_columns(place, list(row), columns)
            yield place, {name: _as_text(row[name]) for name in (columns.question, columns.answer)}


def _json_object(line: str, place: str) -> dict[str, Any]:
    try:
        row: Any = json.loads(line, object_pairs_hook=_without_repeated_keys)
        json.dumps(row, ensure_ascii=False).encode()  # an escape may be half of a character, which no file can hold
    except (ValueError, RecursionError) as error:
        raise ConfigError(place, f"not valid JSON ({error})", "Write one JSON object on each line") from None
    if not isinstance(row, dict):
        raise ConfigError(place, "not a JSON object", "Write one JSON object on each line")
    return cast("dict[str, Any]", row)


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if repeated := _repeated_name([name for name, _ in pairs]):
        raise ValueError(f"it has the key {repeated!r} twice")
    return dict(pairs)


def _check_columns(where: str, names: Sequence[str], columns: Columns) -> None:
    for option, column in (("--question", columns.question), ("--answer", columns.answer)):
        if column not in names:
            remedy = f"Name one of them with {option}: {', '.join(filter(None, names))}"
            raise ConfigError(where, f"there is no column {column!r}", remedy)
    if repeated := _repeated_name([name for name in names if name in {columns.question, columns.answer}]):
        raise ConfigError(where, f"the column {repeated!r} stands there twice", "Rename one of the two")


def _repeated_name(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _text(path: Path) -> str:
    """Return the text of a file without its byte order mark.

    Raises:
        ConfigError: It is not UTF-8, empty, or no text at all.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            problem = f"the file has {size / 1e6:,.0f} MB, more than {MAX_BYTES / 1e6:,.0f}"
            raise ConfigError(path.name, problem, "Keep the columns and rows that you need, or split the file")
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(path.name, f"the file cannot be read ({error.strerror})", "Name a readable file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(path.name, f"byte {error.start} is not UTF-8", "Save the file as UTF-8") from None
    if not text.strip():
        raise ConfigError(path.name, "the file is empty", "Export the tickets again")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError(f"{path.name} line {line}", "it contains a NUL character", "Save the file as UTF-8 text")
    return text
