"""Cases in `evals/cases/*.jsonl`, one JSON object per line: a question, and what makes its answer right.

Questions that are nearly the same are found, because such cases count twice and leak from one split into another.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, JsonValue, ValidationError, model_validator

from chassis.config.toml_file import Section, check_regular, config_error_from
from chassis.contract import Task
from chassis.errors import ConfigError
from chassis_tools.evals.identity import json_hash
from chassis_tools.evals.jsonl import split_lines

FOLDER = "evals/cases"
SYNTHETIC = "synthetic"
"""The key of `source`, and the tag, of a case whose question no person has asked."""

type Split = Literal["dev", "gate", "holdout"]


class Case[Q: BaseModel](Section):
    """One line of a data set."""

    id: str = Field(min_length=1)
    """Unique over all files; reports identify the case by it."""
    input: Q
    """The question, as a caller would send it."""
    expected: JsonValue
    """Whatever `evals/graders.py` needs to tell right from wrong."""
    tags: tuple[str, ...] = ()
    """Results are also reported by tag."""
    group: str | None = None
    """Where the case comes from, such as a document or a conversation; results within a group are correlated."""
    split: Split = "gate"
    """`dev` is edited freely, `gate` under review, and `holdout` is only reported as a whole, before a release."""
    must_pass: bool = False
    """True for a case that must never fail again, such as one from an incident."""
    source: JsonValue = None
    """Where the case was found: a referral, a complaint, a person. A key `synthetic` marks one that was made up."""

    @model_validator(mode="after")
    def _check_synthetic(self) -> Self:
        if self.must_pass and self.is_synthetic:
            raise ValueError("a synthetic case cannot be must_pass, because no person has asked its question")
        return self

    @property
    def is_synthetic(self) -> bool:
        """Return whether the case was made up, for example by `chassis cases draft`."""
        return SYNTHETIC in self.tags or (isinstance(self.source, dict) and bool(self.source.get(SYNTHETIC)))

    @property
    def hash(self) -> str:
        """Return a hash that changes with the question or the expected answer."""
        return json_hash([self.input.model_dump(mode="json"), self.expected])

    @property
    def question_key(self) -> str:
        """Return the question without its case and spacing: one question in two splits would leak between them."""
        return "".join(self.input.model_dump_json().casefold().split())


@dataclass(frozen=True, slots=True)
class Dataset:
    """The lines of one file of cases, not parsed yet: only the team's task knows the type of a question.

    Args:
        name: The name of the file without `.jsonl`, as suites refer to it.
        lines: Each line that is not blank, after its place, such as `evals/cases/start.jsonl line 3`.
    """

    name: str
    lines: tuple[tuple[str, str], ...]


def read_datasets(root: Path) -> tuple[Dataset, ...]:
    """Read every file of cases of the project at `root`, sorted by name.

    Raises:
        ConfigError: A file cannot be read.
    """
    return tuple(_read_dataset(root, file) for file in sorted((root / FOLDER).glob("*.jsonl")))


def parse_cases(
    datasets: Iterable[Dataset], task: Task[Any, Any], names: Collection[str] | None = None
) -> tuple[Case[Any], ...]:
    """Return the cases of the data sets in `names`, or of all, in the order of files and lines.

    Every line is checked, including those of other data sets, because no case may appear twice.

    Raises:
        ConfigError: A line is not a case or repeats another, or there is no data set of a name.
    """
    datasets = tuple(datasets)
    if missing := sorted(set(names or ()) - {dataset.name for dataset in datasets}):
        problem, remedy = "there is no such file", "Restore it, or remove it from the suite"
        raise ConfigError(f"{FOLDER}/{missing[0]}.jsonl", problem, remedy)
    typed: Any = Case  # the type of a question is only known at run time
    places: dict[tuple[str, str], str] = {}
    cases: list[Case[Any]] = []
    for dataset in datasets:
        for place, text in dataset.lines:
            try:
                case = typed[task.takes].model_validate_json(text)
            except ValidationError as error:
                raise config_error_from(place, error) from None
            _check_unique(case, place, places)
            if names is None or dataset.name in names:
                cases.append(case)
    return tuple(cases)


def case_ids(datasets: Iterable[Dataset], names: Collection[str], splits: Collection[Split]) -> tuple[str, ...]:
    """Return the ids of the cases of some splits; unlike `parse_cases`, this needs no type of the team's code."""
    untyped: Any = Case
    rows: list[Case[Any]] = []
    for dataset in datasets:
        for _, text in dataset.lines if dataset.name in names else ():
            with suppress(ValidationError):  # the process that asks has refused the line
                rows.append(untyped[Any].model_validate_json(text))
    return tuple(row.id for row in rows if row.split in splits)


def load_cases(root: Path, task: Task[Any, Any], names: Collection[str] | None = None) -> tuple[Case[Any], ...]:
    """Read and parse the cases of the project at `root`; see `read_datasets` and `parse_cases`."""
    return parse_cases(read_datasets(root), task, names)


def _read_dataset(root: Path, file: Path) -> Dataset:
    name = file.relative_to(root).as_posix()
    try:
        if not file.is_dir():
            check_regular(file, name)
        lines = [line.decode().removesuffix("\r") for line in split_lines(file.read_bytes())]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(name, f"the file cannot be read ({error})", "Save it as UTF-8 text") from None
    numbered = enumerate(lines, start=1)
    return Dataset(file.stem, tuple((f"{name} line {number}", line) for number, line in numbered if line.strip()))


def _check_unique(case: Case[Any], place: str, places: dict[tuple[str, str], str]) -> None:
    """Note the id and the question of a case in `places`, and refuse those that are there already."""
    for field, value in (("id", case.id), ("input", case.question_key)):
        if earlier := places.get((field, value)):
            raise _repeated(place, field, case, earlier)
        places[field, value] = place


def _repeated(place: str, field: str, case: Case[Any], earlier: str) -> ConfigError:
    if field == "id":
        return ConfigError(f"{place}: id", f"{case.id!r} is already the id of {earlier}", "Give each case its own id")
    problem = f"the question of {case.id!r} is already asked in {earlier}"
    return ConfigError(f"{place}: input", problem, "Remove one of the two")


MIN_SIMILARITY = 0.75
"""The share of runs of three characters that two questions have in common, of those that either has (Jaccard)."""


def near_duplicates[K: Hashable](questions: Mapping[K, JsonValue]) -> list[tuple[K, K]]:
    """Return the keys of questions that are nearly the same, in pairs.

    Two sets that alike share one of the rarest members of each, so only questions that do are compared: prefix
    filtering, Chaudhuri et al., A primitive operator for similarity joins (2006).
    """
    shingles = {case: _shingles(" ".join(_strings(question))) for case, question in questions.items()}
    frequency = Counter(shingle for members in shingles.values() for shingle in members)
    seen: defaultdict[str, list[K]] = defaultdict(list)
    pairs: list[tuple[K, K]] = []
    for case, members in shingles.items():
        # The rarest first, so that few other questions share one; the second key makes the order the same everywhere.
        rarest = sorted(members, key=lambda shingle: (frequency[shingle], shingle))
        prefix = rarest[: len(members) - math.ceil(MIN_SIMILARITY * len(members)) + 1]
        candidates = dict.fromkeys(other for shingle in prefix for other in seen[shingle])
        pairs += [(other, case) for other in candidates if _similarity(shingles[other], members) >= MIN_SIMILARITY]
        for shingle in prefix:
            seen[shingle].append(case)
    return pairs


def _shingles(text: str) -> frozenset[str]:
    words = " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))
    padded = f" {words} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))


def _similarity(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def _strings(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)
        case _:
            yield str(value)
