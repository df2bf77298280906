"""Turns questions from production into cases: redacted, each once, and in a split that depends on the question only."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import JsonValue, ValidationError

from chassis.config.toml_file import config_error_from
from chassis.contract import SensitiveKind, Task
from chassis.errors import ConfigError
from chassis.privacy.finder import Finder
from chassis.privacy.placeholders import Placeholders
from chassis.privacy.policy import texts_in
from chassis.store.deletion import caller_hash
from chassis.store.feedback import Correction
from chassis.store.review_queue import Referral
from chassis_tools.evals.cases import FOLDER, Case, Split, near_duplicates, parse_cases, read_datasets
from chassis_tools.evals.jsonl import replace_file, split_lines
from chassis_tools.evals.suites import FILE, MustPassRule, Suites

HOLDOUT_SHARE = 0.2
"""The share of new cases that no one tunes the service with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """A question of a caller with a person's answer, before it is checked.

    Args:
        id: The id of the case.
        input: The question.
        expected: The answer.
        tags: The tags of the case.
        group: The group of the case.
        must_pass: Whether the service has answered the question wrongly.
        source: Where the case comes from; it is neither redacted nor searched.
    """

    id: str
    input: JsonValue
    expected: JsonValue
    tags: tuple[str, ...] = ()
    group: str | None = None
    must_pass: bool = False
    source: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class CaseAdditions:
    """What a command adds to a data set.

    Args:
        file: The data set, below the project's folder.
        cases: The new cases.
        repeated: The ids of those left out because their question is a case already, each with the id of that case.
        refused: The ids of those that cannot become cases, each with the reason.
    """

    file: str
    cases: Sequence[Case[Any]]
    repeated: Mapping[str, str]
    refused: Mapping[str, str]


def from_referral(referral: Referral) -> NewCase:
    """Return what an answered referral becomes. Names of callers and reviewers stay out of the repository.

    A hash of the caller's name is kept, so that `chassis forget` finds the case once the referral has been deleted.
    """
    return NewCase(
        id=referral.id,
        input=cast("JsonValue", referral.question),
        expected=cast("JsonValue", right_answer(referral)),
        tags=tuple(dict.fromkeys(("reviewed", *referral.tags))),
        must_pass=referral.verdict == "fail",
        source={
            "referral": referral.id,
            "verdict": referral.verdict,
            "reviewed_on": f"{referral.answered_at:%Y-%m-%d}",
            "caller_hash": caller_hash(referral.caller),
        },
    )


def right_answer(referral: Referral) -> Mapping[str, Any] | None:
    """Return the right answer according to the reviewer, or None if they only said that the draft was wrong."""
    return referral.draft if referral.answer is None and referral.verdict == "pass" else referral.answer


def from_correction(correction: Correction) -> NewCase:
    """Return what a caller's correction becomes. No reviewer has confirmed it, so it does not have to pass."""
    return NewCase(
        id=correction.call_id,
        input=json.loads(correction.question),
        expected=json.loads(correction.answer),
        tags=("feedback",),
        source={
            "feedback": correction.call_id,
            "received_on": f"{correction.received_at:%Y-%m-%d}",
            "caller_hash": caller_hash(correction.caller),
        },
    )


def failures_since(cases: Iterable[NewCase], first: date) -> list[NewCase]:
    """Return the cases of answers that a reviewer rejected, or a caller corrected, on a day or later."""
    return [
        case
        for case in cases
        if case.source.get("verdict") != "pass"
        and str(case.source.get("reviewed_on") or case.source["received_on"]) >= first.isoformat()
    ]


def check_dataset(suites: Suites, name: str) -> None:
    """Check that a suite uses the data set of this name.

    Raises:
        ConfigError: No suite does, so its cases would never be asked.
    """
    used = sorted({dataset for suite in suites.suites.values() for dataset in suite.cases})
    if name not in used:
        remedy = f"Add it to the cases of a suite in {FILE}, or name one of: {', '.join(used)}"
        raise ConfigError("--to", f"no suite uses a data set {name!r}", remedy)


def has_must_pass_rule(suites: Suites, dataset: str) -> bool:
    """Return whether a replay suite with this data set fails as soon as one of its `must_pass` cases does."""
    return any(
        suite.kind == "replay"
        and dataset in suite.cases
        and any(isinstance(rule, MustPassRule) for rule in suite.rules)
        for suite in suites.suites.values()
    )


def plan_additions(root: Path, task: Task[Any, Any], dataset: str, proposed: Iterable[NewCase]) -> CaseAdditions:
    """Return what can be added to a data set, and what cannot and why.

    Raises:
        ConfigError: The cases of the project cannot be read.
    """
    existing = parse_cases(read_datasets(root), task)
    finder = Finder(get_args(SensitiveKind.__value__), task.recognizers)
    cases: list[Case[Any]] = []
    refused: dict[str, str] = {}
    for new in proposed:
        try:
            cases.append(_case(new, task, finder))
        except ConfigError as error:
            refused[new.id] = error.problem
    repeated = _repeated(existing, cases)
    added = [case for case in cases if case.id not in repeated]
    return CaseAdditions(f"{FOLDER}/{dataset}.jsonl", added, repeated, refused)


def write_additions(root: Path, additions: CaseAdditions) -> None:
    """Append the new cases to their data set, and replace the file as a whole."""
    path = root / additions.file
    lines = [line for line in split_lines(path.read_bytes()) if line.strip()] if path.exists() else []
    replace_file(path, b"".join(line.removesuffix(b"\r") + b"\n" for line in [*lines, *_json_lines(additions)]))


def write_dataset(root: Path, additions: CaseAdditions) -> None:
    """Write the new cases to a data set of their own.

    Raises:
        FileExistsError: It exists, perhaps only since a moment ago.
    """
    path = root / additions.file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(b"".join(line + b"\n" for line in _json_lines(additions)))


def _json_lines(additions: CaseAdditions) -> list[bytes]:
    return [case.model_dump_json(by_alias=True, exclude_defaults=True).encode() for case in additions.cases]


def split_of(question_key: str) -> Split:
    """Return the split of a question: the same one however often, and from wherever, the question comes."""
    digest = hashlib.sha256(question_key.encode(errors="surrogatepass")).digest()
    return "holdout" if int.from_bytes(digest[:4]) < HOLDOUT_SHARE * 2**32 else "gate"


def _case(new: NewCase, task: Task[Any, Any], finder: Finder) -> Case[Any]:
    """Return a case without sensitive values.

    Raises:
        ConfigError: The detectors would still change it, or its question does not fit the task.
    """
    placeholders = Placeholders()
    clean = replace(
        new,
        input=_redacted(new.input, finder, placeholders),
        expected=_redacted(new.expected, finder, placeholders),
    )
    for text in texts_in([clean.input, clean.expected, clean.tags]):
        for match in finder.find(text):
            problem = f"it contains a value of the kind {match.kind!r} that no placeholder can replace"
            raise ConfigError(new.id, problem, "Write the case by hand")
    typed: Any = Case  # the type of a question is only known at run time
    values = {
        name: getattr(clean, name) for name in ("id", "input", "expected", "tags", "group", "must_pass", "source")
    }
    if len(placeholders):
        values["source"] = {**new.source, "redacted": len(placeholders)}
    try:
        case: Case[Any] = typed[task.takes].model_validate(values)
    except ValidationError as error:
        reason = config_error_from("", error)
        raise ConfigError(new.id, f"its {reason.where.strip(': ')} does not fit the task", reason.remedy) from None
    split = split_of(case.question_key)
    # The holdout is reported as a whole, so no single case of it can decide.
    return case.model_copy(update={"split": split, "must_pass": new.must_pass and split == "gate"})


def _redacted(value: JsonValue, finder: Finder, placeholders: Placeholders) -> JsonValue:
    match value:
        case str():
            return finder.redact(value, placeholders)
        case list():
            return [_redacted(item, finder, placeholders) for item in value]
        case dict():
            return {name: _redacted(item, finder, placeholders) for name, item in value.items()}
        case _:
            return value


def _repeated(existing: Sequence[Case[Any]], cases: Sequence[Case[Any]]) -> dict[str, str]:
    """Return the new cases that repeat another, or nearly so, each with the id of the one that stays."""
    # An id that a file and a referral share is the same referral, promoted before.
    kept = {case.id: case.id for case in existing} | {case.question_key: case.id for case in existing}
    questions: dict[tuple[bool, str], JsonValue] = {(False, case.id): _question(case) for case in existing}
    repeated: dict[str, str] = {}
    for case in cases:
        if earlier := kept.get(case.id) or kept.get(case.question_key):
            repeated[case.id] = earlier
            continue
        kept |= {case.id: case.id, case.question_key: case.id}
        questions[True, case.id] = _question(case)
    for (earlier_is_new, earlier), (is_new, case) in near_duplicates(questions):
        if is_new and not (earlier_is_new and earlier in repeated):
            repeated.setdefault(case, earlier)
    return repeated


def _question(case: Case[Any]) -> JsonValue:
    return case.input.model_dump(mode="json")
