"""Regressions that are planted are red or named, and harmless changes are green. `pytest -rP` prints the list.

Those of graders are in `test_evals_fingerprint.py`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sample_task
from chassis import Draft
from chassis.testing import ScriptedModel
from chassis_tools.evals.gate_result import GateVerdict
from sample_evaluation import (
    add_models,
    ask,
    case,
    echo,
    edit,
    judge,
    run_and_accept,
    write_cases,
    write_evaluation,
)
from sample_task import Answer, Question

pytestmark = pytest.mark.slow

COUNT = 40
ACCEPTED = "evals/accepted/answers"
CASES = [case(f"c{number}", f"case {number}") for number in range(COUNT)]
CASES[0]["must_pass"] = True
UNRECORDED = {"first": ScriptedModel(AssertionError("a replay asked a model"))}
MODEL_IN_FRONT = """[[models]]
name = "newer"
provider = "openai"
model = "newer"
destination = "vendor"
max_output_tokens = 100
input_usd_per_million = 10
output_usd_per_million = 100
"""

type Change = Callable[[Path, pytest.MonkeyPatch], object]


def answering(function: Callable[[Question], Draft[Answer]]) -> Change:
    """Replace the baseline."""
    return lambda _, patch: patch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=function))


def saying(text: Callable[[str], str], confidence: float = 0.8) -> Change:
    """Let the baseline answer something else."""
    return answering(lambda question: Draft(Answer(text=text(question.text)), confidence))


def editing(name: str, old: str, new: str) -> Change:
    """Replace a text in a file."""
    return lambda root, _: edit(root / name, old, new)


def writing(*cases: dict[str, Any]) -> Change:
    """Write other cases."""
    return lambda root, _: write_cases(root, *cases)


def editing_lines(name: str, change: Callable[[dict[str, object]], object]) -> Change:
    """Change every line of a JSON Lines file."""

    def apply(root: Path, _: pytest.MonkeyPatch) -> None:
        rows = [json.loads(line) for line in (root / name).read_text().splitlines()]
        for row in rows:
            change(row)
        (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    return apply


def both(*changes: Change) -> Change:
    """Make several changes."""

    def apply(root: Path, patch: pytest.MonkeyPatch) -> None:
        for change in changes:
            change(root, patch)

    return apply


def crash(question: Question) -> Draft[Answer]:
    """Fail on one question."""
    if question.text == "case 7":
        raise ZeroDivisionError
    return sample_task.shout(question)


def slow(question: Question) -> Draft[Answer]:
    """Take longer than the limit of this test."""
    time.sleep(0.05)
    return sample_task.shout(question)


def only(number: int, text: str = "no") -> Change:
    """Give a wrong answer to one question."""
    return saying(lambda asked: text if asked == f"case {number}" else asked.upper())


def edited(*numbers: int, **fields: object) -> list[dict[str, Any]]:
    """Return the cases, some of them edited."""
    return [each | fields if number in numbers else each for number, each in enumerate(CASES)]


def dotted(*numbers: int) -> list[dict[str, Any]]:
    """Return the cases with a full stop after some questions."""
    return [
        each | {"input": {"text": f"case {number} ."}} if number in numbers else each
        for number, each in enumerate(CASES)
    ]


def add_suite(root: Path) -> None:
    """Add a suite that nobody has run."""
    with (root / "evals/suites.toml").open("a") as suites:
        suites.write('[suites.more]\nkind = "replay"\ncases = ["start"]\nevaluators = ["right"]\nrules = []\n')


async def say_twice(question: Question, model: Any) -> Draft[Answer]:
    """Ask with another prompt."""
    return await sample_task.say(Question(text=f"{question.text}, please"), model)


def drop_a_line(path: Path) -> None:
    """Remove the first line of a file."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def write_document(root: Path, name: str) -> None:
    """Write a page that the service could read."""
    (root / "documents").mkdir()
    (root / "documents" / name).write_text("# New\n")


RED: dict[str, tuple[Change, str]] = {
    "one answer wrong": (only(3), "1 of 40 cases got worse, 0 better: c3"),
    "every answer wrong": (saying(lambda _: "no"), "floor right: 0.0%"),
    "answers cut": (saying(lambda text: text.upper()[:4]), "40 of 40 cases got worse"),
    "answers with a tail": (saying(lambda text: f"{text.upper()} and more"), "40 of 40 cases got worse"),
    "confidence too low": (saying(str.upper, confidence=0.1), "40 of 40 cases got worse"),
    "one crash": (answering(crash), "1 × ZeroDivisionError"),
    "must-pass case wrong": (only(0), "must-pass right: 1 of 1 cases fail: c0"),
    "too slow": (
        both(answering(slow), editing("evals/suites.toml", "p95_seconds = 9", "p95_seconds = 0.01")),
        "latency",
    ),
    "full stop hides a wrong answer": (
        both(writing(*dotted(3)), saying(lambda text: "no" if "." in text else text.upper())),
        "edited since the accepted run: c3",
    ),
    "expectation edited to fit": (
        both(only(3), writing(*edited(3, expected="no"))),
        "1 of 40 cases were edited since the accepted run: c3",
    ),
    "three questions edited": (
        writing(*dotted(1, 2, 3)),
        "3 of 40 cases were edited since the accepted run: c1, c2, c3",
    ),
    "every question edited": (writing(*dotted(*range(COUNT))), "40 of 40 cases were edited"),
    "case removed": (writing(*CASES[1:]), "The accepted run has cases that this run has not: c0"),
    "every case removed": (writing(), "No case was asked"),
    "case moved to the holdout": (writing(*edited(3, split="holdout")), "cases that this run has not: c3"),
    "accepted run deleted": (
        lambda root, _: (root / ACCEPTED / "records.jsonl").unlink(),
        "No run of this suite has been accepted",
    ),
    "accepted score edited": (
        both(only(3), editing_lines(f"{ACCEPTED}/records.jsonl", lambda row: row.update(value=0.0))),
        "The accepted run was altered",
    ),
    "accepted answer edited": (
        both(only(3), editing(f"{ACCEPTED}/trials.jsonl", '"CASE 3"', '"no"')),
        "The accepted run was altered: its answers do not get the scores that it has for c3",
    ),
    "accepted line deleted": (
        lambda root, _: (root / ACCEPTED / "trials.jsonl").write_text(""),
        "The accepted run was altered",
    ),
    "grader weakened": (
        editing("evals/graders.py", "said(outcome) == case.expected", "True"),
        "The evaluator, or a type or function",
    ),
    "helper of a grader weakened": (
        editing("evals/graders.py", "return outcome.value.text if", "return outcome.value.text.upper() if"),
        "The evaluator, or a type or function",
    ),
    "another model": (
        editing("constraints.toml", 'model = "first"', 'model = "second"'),
        "No reply of first: openai second",
    ),
    "another vendor": (
        editing("constraints.toml", 'provider = "openai"', 'provider = "anthropic"'),
        "No reply of first: anthropic first",
    ),
    "renamed model": (
        editing("constraints.toml", 'name = "first"', 'name = "renamed"'),
        "No reply of renamed: openai first",
    ),
    "another output cap": (
        editing("constraints.toml", "max_output_tokens = 100", "max_output_tokens = 50"),
        "No reply of",
    ),
    "another prompt": (
        lambda _, patch: patch.setattr(sample_task, "TASK", replace(sample_task.TASK, run=say_twice)),
        "No reply of",
    ),
    "another model in front": (
        lambda root, _: edit(root / "constraints.toml", "[[models]]", MODEL_IN_FRONT + "[[models]]"),
        "No reply of newer: openai newer",
    ),
    "recording emptied of a case": (
        lambda root, _: drop_a_line(root / "evals/recordings/answers.jsonl"),
        "No reply of first: openai first to the current prompt is recorded for c",
    ),
}
"""What is planted, and a part of what the report says about it."""

GREEN: dict[str, Change] = {
    "nothing": lambda _, __: None,
    "run twice": lambda root, _: ask(root, models=UNRECORDED),
    "a wrong answer becomes right": saying(str.upper, confidence=0.9),
    "higher confidence": saying(str.upper, confidence=1.0),
    "case added": writing(*CASES, case("new", "another question")),
    "ten cases added": writing(*CASES, *(case(f"n{number}", f"new question {number}") for number in range(10))),
    "cases in another order": writing(*reversed(CASES)),
    "tag added": writing(*edited(3, tags=["new"])),
    "tags changed everywhere": writing(*edited(*range(COUNT), tags=["new"])),
    "source noted": writing(*edited(3, source="a complaint")),
    "case must pass from now on": writing(*edited(3, must_pass=True)),
    "group noted": writing(*edited(3, group="page")),
    "one question reworded, still right": writing(*edited(3, input={"text": "case three"}, expected="CASE THREE")),
    "keys of cases in another order": lambda root, _: (root / "evals/cases/start.jsonl").write_text(
        "".join(json.dumps(dict(reversed(list(each.items())))) + "\n" for each in CASES)
    ),
    "blank lines between cases": editing("evals/cases/start.jsonl", "\n", "\n\n\n"),
    "carriage returns": lambda root, _: (root / "evals/cases/start.jsonl").write_bytes(
        (root / "evals/cases/start.jsonl").read_bytes().replace(b"\n", b"\r\n")
    ),
    "byte order mark": lambda root, _: (root / "evals/cases/start.jsonl").write_bytes(
        b"\xef\xbb\xbf" + (root / "evals/cases/start.jsonl").read_bytes()
    ),
    "line separator in a question": writing(*CASES, case("odd", "one\u2028two")),
    "cases in two files": both(
        writing(*CASES[1:]),
        lambda root, _: write_cases(root, CASES[0], file="more"),
        editing("evals/suites.toml", 'cases = ["start"]', 'cases = ["start", "more"]'),
    ),
    "grader commented": editing("evals/graders.py", "def right", "# What is right.\ndef right"),
    "docstring of a grader": editing("evals/graders.py", "outcome):\n", 'outcome):\n    """Grade."""\n'),
    "grader added": editing("evals/graders.py", "def right", "def third(case, outcome):\n    return 1\n\n\ndef right"),
    "other grader changed": editing("evals/graders.py", "not in (said", "not in str(said"),
    "unused import": editing("evals/graders.py", "from chassis", "import os\nfrom chassis"),
    "graders reformatted": editing("evals/graders.py", "== case.expected", "== (\n        case.expected\n    )"),
    "rule added": editing("evals/suites.toml", "rules = [", 'rules = [\n    { kind = "never", evaluator = "right" },'),
    "rule that warns": editing(
        "evals/suites.toml",
        "rules = [",
        'rules = [\n    { kind = "floor", evaluator = "right", at_least = 1, severity = "warn" },',
    ),
    "floor raised": editing(
        "evals/suites.toml", '"floor", evaluator = "right"', '"floor", evaluator = "right", at_least = 1'
    ),
    "suite added": lambda root, _: add_suite(root),
    "comment in the suites": editing("evals/suites.toml", "[suites.answers]", "# Ours\n[suites.answers]"),
    "looser latency": editing("evals/suites.toml", "p95_seconds = 9", "p95_seconds = 8"),
    "comment in the constraints": editing("constraints.toml", "[", "# Ours\n["),
    "document added": lambda root, _: write_document(root, "new.md"),
    "README added": lambda root, _: (root / "README.md").write_text("# Sample\n"),
    "another price": editing("constraints.toml", "input_usd_per_million = 10", "input_usd_per_million = 11"),
}
WITH_MODEL = {name for name, (_, said) in RED.items() if said.startswith("No reply")} | {"another price"}


@pytest.fixture
def accepted(project: Path, request: pytest.FixtureRequest) -> Path:
    """Write a project with an accepted run; with recorded replies where the change is about the models."""
    write_cases(write_evaluation(project), *CASES)
    if request.node.callspec.params["name"] not in WITH_MODEL:
        return run_and_accept(project)
    add_models(project)
    return run_and_accept(project, mode="record", models={"first": ScriptedModel(echo)})


@pytest.mark.parametrize("name", RED)
def test_a_planted_regression_is_red_or_named(accepted: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever was broken, edited or exchanged, the report says so."""
    change, sentence = RED[name]
    change(accepted, monkeypatch)
    ask(accepted)
    report = judge(accepted)

    said = "; ".join(f"{finding.rule}: {finding.sentence}" for finding in report.suites[0].findings)
    print(f"{report.verdict.title:<12} {name}: {said}")
    assert sentence in f"{said}; {report.headline}"


@pytest.mark.parametrize("name", GREEN)
def test_a_harmless_change_is_green(accepted: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What does not make an answer worse does not fail."""
    GREEN[name](accepted, monkeypatch)
    ask(accepted)
    report = judge(accepted)

    print(f"{report.verdict.title:<12} {name}")
    assert report.verdict is GateVerdict.PASS, report.summary


def test_there_are_enough_of_both() -> None:
    """At least 24 regressions and 30 harmless changes."""
    assert (len(RED) >= 24, len(GREEN) >= 30) == (True, True)
