"""An evaluation reads each file once, asks each judge and each grader once about a trial, and judges a run once."""

import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from os import fspath
from pathlib import Path
from typing import Any

import pytest
import sample_task
from chassis.testing import ScriptedModel
from chassis_tools.evals import evaluation
from chassis_tools.evals.plan import Plan
from cli_runner import run as chassis
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample_evaluation import (
    FEW,
    add_judge,
    add_models,
    question_in,
    replace_model,
    run_and_accept,
    write_evaluation,
    write_start,
)

JUDGE = '[judges.polite]\nmodel = "first"\nfailure = "The answer shouts at the person who asks."\n'
LIVE = """
[suites.twice]
kind = "live"
cases = ["start"]
evaluators = ["even", "polite"]
repeats = 2
max_repeats = 3
rules = [{ kind = "floor", evaluator = "even" }, { kind = "floor", evaluator = "polite", severity = "warn" }]
"""
GRADER = """
def even(case, outcome):
    import sample_task
    sample_task.graded.append(case.id)
    return int(case.id[1:]) % 2 == 0
"""

_watching: list[Counter[str]] = []


def _note_open(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watching and isinstance(arguments[0], str | Path) and arguments[1] in {"r", "rb"}:
        _watching[-1][fspath(arguments[0])] += 1


sys.addaudithook(_note_open)  # a hook of the interpreter sees every way to open a file; it cannot be removed


@contextmanager
def files_read(root: Path) -> Generator[Counter[str]]:
    """Count how often each file of the project at `root` is opened for reading."""
    _watching.append(Counter())
    opened: Counter[str] = Counter()
    try:
        yield opened
    finally:
        names = ((Path(name), count) for name, count in _watching.pop().items())
        opened.update({path.relative_to(root).as_posix(): n for path, n in names if path.is_relative_to(root)})


@pytest.fixture
def evaluated(project: Path) -> Path:
    """Write a project with graders, a judge and accepted runs."""
    add_models(write_start(write_evaluation(project), FEW))
    add_judge(project, JUDGE)
    return run_and_accept(project, "answers", "attacks")


@pytest.mark.parametrize("command", ["run", "gate", "accept", "power answers"])
def test_each_file_is_read_once(evaluated: Path, command: str) -> None:
    """Also by a command that evaluates several suites; `run` reads them before, in and after its other process."""
    with files_read(evaluated) as opened:
        chassis("evals", *command.split())

    times = 3 if command == "run" else 1
    decisions = {"evals/suites.toml", "evals/graders.py", "constraints.toml", "pyproject.toml"}
    datasets = {"evals/cases/start.jsonl", "evals/cases/attacks.jsonl", "evals/accepted/answers/records.jsonl"}
    assert opened.keys() >= decisions | datasets
    assert [
        name for name in sorted(opened) if opened[name] > times and name.startswith(("evals/", "constraints"))
    ] == []


def test_no_trial_is_graded_or_judged_twice(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When more repeats are asked, only the new answers are graded and judged."""
    judged: list[str] = []

    async def answer_and_judge(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        text = question_in(messages)
        if "exactly one failure" not in str(info.instructions):
            return ModelResponse([TextPart(text.upper())])
        judged.append(text)
        return ModelResponse([TextPart("It is polite.\nPASS")])

    graded: list[str] = []
    monkeypatch.setattr(sample_task, "graded", graded, raising=False)
    replace_model(monkeypatch, ScriptedModel(answer_and_judge))
    for file, text in (("suites.toml", LIVE), ("graders.py", GRADER)):
        with (evaluated / "evals" / file).open("a") as opened:
            opened.write(text)

    assert chassis("evals", "run", "twice") == 0

    trials = FEW * 3 + FEW  # three repeats of the service, and the baseline once
    assert Counter(graded) == {f"c{number}": 4 for number in range(FEW)}
    assert len(judged) == len(graded) == trials


def test_a_run_is_judged_once(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` calls the gate once for each suite, and `gate` says the same again from the files that it left."""
    gate, suites = evaluation.gate, list[str]()

    def counting(plan: Plan, run: Any) -> Any:
        suites.append(plan.name)
        return gate(plan, run)

    monkeypatch.setattr(evaluation, "gate", counting)
    report = evaluated / "var/evals/report.json"

    assert chassis("evals", "run") == 0
    first = report.read_bytes()
    assert suites == ["answers", "attacks"]
    assert chassis("evals", "gate") == 0
    assert report.read_bytes() == first
