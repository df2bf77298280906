"""The cases, one JSON object a line in `evals/cases/*.jsonl`: a question, and what makes its answer right."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, JsonValue, ValidationError

from chassis.config.toml_file import Section, config_error_from
from chassis.contract import Task
from chassis.errors import ConfigError
from chassis_tools.evals.jsonl import json_hash

FOLDER = "evals/cases"

type Split = Literal["dev", "gate", "holdout"]


class Case[Q: BaseModel](Section):
    """One line."""

    id: str = Field(min_length=1)
    """Unique over all files; reports call the case so."""
    input: Q
    """The question, as a caller would send it."""
    expected: JsonValue
    """Whatever `evals/graders.py` needs to tell right from wrong."""
    tags: tuple[str, ...] = ()
    """Results are also reported by tag."""
    group: str | None = None
    """What it comes from, such as a document or a conversation; cases of one group rise and fall together."""
    split: Split = "gate"
    """`dev` is edited freely, `gate` under review, and `holdout` is only looked at as a whole, before a release."""
    must_pass: bool = False
    """True for a case that must never go wrong again, such as one from an incident."""
    source: JsonValue = None
    """Where it comes from: a referral, a complaint, a person."""

    @property
    def digest(self) -> str:
        """Return a name for what is asked and expected; it changes when either does."""
        return json_hash([self.input.model_dump(mode="json"), self.expected])


def load_cases(root: Path, task: Task[Any, Any], sets: Collection[str] | None = None) -> list[Case[Any]]:
    """Read the cases that the project at `root` has for its task, in the order of the files and lines.

    Every file is read and checked; of the cases, those of the files named in `sets` are returned, or all.

    Raises:
        ConfigError: A line is not a case, or repeats another; it names file, line and field. Or a set is no file.
    """
    typed: Any = Case  # by a type that is only known at run time
    seen: dict[tuple[str, str], str] = {}
    cases: list[Case[Any]] = []
    files = sorted((root / FOLDER).glob("*.jsonl"))
    if missing := sorted(set(sets or ()) - {file.stem for file in files}):
        raise ConfigError(f"{FOLDER}/{missing[0]}.jsonl", "there is no such file", "Bring it back, or mend the suite")
    for file in files:
        for place, text in _lines(root, file):
            try:
                case = typed[task.takes].model_validate_json(text)
            except ValidationError as error:
                raise config_error_from(place, error) from None
            for field, value in (("id", case.id), ("input", _plain(case))):
                if (field, value) in seen:
                    raise _repeated(place, field, case, seen[field, value])
                seen[field, value] = place
            if sets is None or file.stem in sets:
                cases.append(case)
    return cases


def _plain(case: Case[Any]) -> str:
    """Return the question without case and spacing: the same one in two splits would let one leak into the other."""
    return "".join(case.input.model_dump_json().casefold().split())


def _repeated(place: str, field: str, case: Case[Any], earlier: str) -> ConfigError:
    if field == "id":
        return ConfigError(f"{place}: id", f"{case.id!r} is also the id of {earlier}", "Give each case its own")
    return ConfigError(f"{place}: input", f"the question of {case.id!r} is asked in {earlier} too", "Remove one")


def _lines(root: Path, file: Path) -> Iterator[tuple[str, str]]:
    """Return every line that is not blank, with its file and number."""
    name = file.relative_to(root).as_posix()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(name, f"it cannot be read ({error})", "Save it as UTF-8 text") from None
    yield from ((f"{name} line {number}", line) for number, line in enumerate(lines, start=1) if line.strip())
