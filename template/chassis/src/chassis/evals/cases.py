"""The cases, one JSON object a line in `evals/cases/*.jsonl`: a question, and what makes its answer right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, JsonValue, ValidationError

from chassis.errors import ConfigError
from chassis.sections import Section, misfit
from chassis.task import Task

FOLDER = "evals/cases"


class Case[Q: BaseModel](Section):
    """One line."""

    id: str = Field(min_length=1)
    """Unique over all files; reports call the case so."""
    input: Q
    """The question, as a caller would send it."""
    expected: JsonValue
    """Whatever `evals/graders.py` needs to tell right from wrong."""
    tags: tuple[str, ...] = ()
    """Accuracy is also reported by tag."""


def load_cases(root: Path, task: Task[Any, Any]) -> list[Case[Any]]:
    """Read every case that the project at `root` has for its task, in the order of the files and lines.

    Raises:
        ConfigError: A line is not a case, or repeats the id of another; it names file, line and field.
    """
    typed: Any = Case  # by a type that is only known at run time
    places: dict[str, str] = {}
    cases: list[Case[Any]] = []
    for place, text in _lines(root):
        try:
            case = typed[task.takes].model_validate_json(text)
        except ValidationError as error:
            raise misfit(place, error) from None
        if case.id in places:
            problem = f"{case.id!r} is also the id of {places[case.id]}"
            raise ConfigError(f"{place}: id", problem, "Give each case its own")
        places[case.id] = place
        cases.append(case)
    return cases


def _lines(root: Path) -> Iterator[tuple[str, str]]:
    """Return every line that is not blank, with its file and number."""
    for file in sorted((root / FOLDER).glob("*.jsonl")):
        name = file.relative_to(root).as_posix()
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(name, f"it cannot be read ({error})", "Save it as UTF-8 text") from None
        yield from ((f"{name} line {number}", line) for number, line in enumerate(lines, start=1) if line.strip())
