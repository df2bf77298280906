"""The evaluation: no case disappears, no line is misread, and one verdict is said in three places."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import run as chassis
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample import TASK, Answer, Question

from chassis import Answered, Draft, Outcome, Task
from chassis.errors import ConfigError
from chassis.evals.cases import Case, load_cases
from chassis.evals.report import Report, Verdict, save
from chassis.evals.run import AT_ONCE, Result, rehearsal, run
from chassis.evals.score import Record, load_grade, score
from chassis.testing import Scripted, wire_for_tests

type Results = list[Result[Any, Any]]

PING = '{"id": "ping", "input": {"text": "ping"}, "expected": "PING", "tags": ["loud"]}'
WHY = '{"id": "why", "input": {"text": "why?"}, "expected": null, "tags": ["declined"]}'
WRONG = '{"id": "wrong", "input": {"text": "x"}, "expected": "y", "tags": ["loud"]}'
MORE = '{"id": "more", "input": {"text": "x"}, "expected": "z"}'
GRADER = """\
from chassis import Answered

def grade(case, outcome):
    return said(outcome) == case.expected

def said(outcome):
    return outcome.value.text if isinstance(outcome, Answered) else None
"""


def write_cases(root: Path, *lines: str, file: str = "start.jsonl") -> Path:
    """Write a data set and its grader, and return where the project is."""
    folder = root / "evals" / "cases"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text("\n".join(lines) + "\n")
    (root / "evals" / "graders.py").write_text(GRADER)
    return root


def exact(case: Case[Question], outcome: Outcome[Answer]) -> bool:
    """Take nothing but the very words."""
    return isinstance(outcome, Answered) and outcome.value.text == case.expected


def ask_all(root: Path, cases: list[Case[Any]], *models: Scripted, task: Task[Any, Any] = TASK) -> Results:
    """Run the cases through a whole service, and see that its desk stays empty."""

    async def story() -> Results:
        async with wire_for_tests(task, root, *models) as wiring, rehearsal(wiring.service) as service:
            results = await run(service, cases, on_result=lambda: None)
            assert await wiring.desk.open_referrals() == []
            return results

    return asyncio.run(story())


def case(case_id: str = "ping", text: str = "ping", expected: str | None = "PING") -> Case[Question]:
    """Return a case that the baseline of the sample gets right, unless told otherwise."""
    return Case(id=case_id, input=Question(text=text), expected=expected)


def record(*, right: bool, tag: str = "loud") -> Record:
    """Return how one case went."""
    return Record(
        case="c",
        tags=(tag,),
        right=right,
        outcome="answered",
        answered_by="baseline",
        error=None,
        cost=1_000_000,
        seconds=0.5,
        call_id="c_0",
    )


def test_cases_are_read_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    """Blank lines are skipped, and each question is of the task's own type."""
    write_cases(tmp_path, WHY, file="b.jsonl")
    write_cases(tmp_path, PING, "", WRONG, file="a.jsonl")

    cases = load_cases(tmp_path, TASK)

    assert [case.id for case in cases] == ["ping", "wrong", "why"]
    assert cases[0].input == Question(text="ping")
    assert (cases[2].expected, cases[2].tags) == (None, ("declined",))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"id": "x", "input": {"txt": "p"}, "expected": 1}', "line 2: input.text: the key is missing. Add it"),
        ('{"id": "x", "input": {"text": ""}, "expected": 1}', "line 2: input.text: the value is ''"),
        ('{"id": "x", "input": {"text": "p"}}', "line 2: expected: the key is missing. Add it"),
        ('{"id": "x", "input": {"text": "p"}, "expected": 1, "tag": 1}', "line 2: tag: the key means nothing here"),
        ('{"id": "", "input": {"text": "p"}, "expected": 1}', "line 2: id: the value is ''"),
        ('{"id": "x", ', "line 2: not valid JSON"),
        ("[]", "line 2: the value is []"),
        (PING, "line 2: id: 'ping' is also the id of evals/cases/start.jsonl line 1. Give each case its own"),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path: Path, line: str, sentence: str) -> None:
    """Whoever wrote the line is told file, number, field and what to do."""
    with pytest.raises(ConfigError) as refusal:
        load_cases(write_cases(tmp_path, PING, line), TASK)

    assert f"evals/cases/start.jsonl {sentence}" in str(refusal.value)


def test_a_failed_call_counts_as_wrong(tmp_path: Path) -> None:
    """A bug, a refusal and a wrong answer all stay in the denominator, under their own names."""

    def shaky(question: Question) -> Draft[Answer]:
        if question.text == "crash":
            raise ZeroDivisionError
        return TASK.baseline(question)

    task = Task(name="echo", takes=Question, gives=Answer, run=TASK.run, baseline=shaky)
    cases = [case("right"), case("bug", "crash"), case("refused", "4111 1111 1111 1111"), case("referred", "why?")]

    records = [score(result, exact) for result in ask_all(tmp_path, cases, task=task)]

    assert [(record.case, record.right, record.ending) for record in records] == [
        ("right", True, "answered by baseline"),
        ("bug", False, "failed with ZeroDivisionError"),
        ("refused", False, "failed with NotAllowed"),
        ("referred", False, "referred"),
    ]


def test_only_so_many_cases_are_asked_at_once(tmp_path: Path) -> None:
    """A large data set is not fired at a vendor in one volley, and not one by one either."""
    busy, most = 0, 0

    async def count(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        nonlocal busy, most
        busy, most = busy + 1, max(most, busy + 1)
        await asyncio.sleep(0.01)
        busy -= 1
        return ModelResponse([TextPart("PING")])

    results = ask_all(tmp_path, [case(f"c{number}") for number in range(3 * AT_ONCE)], Scripted(count))

    assert (most, len(results)) == (AT_ONCE, 3 * AT_ONCE)
    assert all(score(result, exact).right for result in results)


@pytest.mark.parametrize(
    ("grade", "sentence"),
    [
        (lambda case, _: case.expected["source"], "it fails on the case 'ping' with TypeError"),
        (lambda _, __: 1, "for the case 'ping' it returns 1. Return True or False"),
    ],
)
def test_a_broken_grader_is_no_verdict(tmp_path: Path, grade: Callable[..., Any], sentence: str) -> None:
    """A grader that crashes or shrugs says nothing about the service, and the run ends with its mistake."""
    [result] = ask_all(tmp_path, [case()])

    with pytest.raises(ConfigError) as refusal:
        score(result, grade)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(("text", "sentence"), [(None, "there is no such file"), ("", "it has no function 'grade'")])
def test_a_missing_grader_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    """Without a grader nothing can be right, and the sentence shows what to write."""
    if text is not None:
        (write_cases(tmp_path) / "evals" / "graders.py").write_text(text)

    with pytest.raises(ConfigError, match=sentence):
        load_grade(tmp_path)


@pytest.mark.parametrize(
    ("marks", "verdict", "code"),
    [
        ([True] * 4 + [False], Verdict.PASS, 0),
        ([True] * 3 + [False], Verdict.BELOW_FLOOR, 1),
        ([], Verdict.NO_EVIDENCE, 3),
    ],
)
def test_the_verdict_and_the_file_are_one_value(tmp_path: Path, marks: list[bool], verdict: Verdict, code: int) -> None:
    """Exactly at the floor is enough; no case at all is never a pass."""
    report = Report([record(right=right) for right in marks], floor=0.8)

    written = json.loads(save(report, tmp_path).read_text())

    assert report.verdict is verdict
    assert (written["verdict"], written["exit_code"]) == (verdict.name.lower(), code)
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == len(marks)


def test_the_report_counts_by_tag_and_adds_up(tmp_path: Path) -> None:
    """Each slice has its own accuracy; money is summed exactly."""
    report = Report([record(right=True), record(right=False), record(right=True, tag="declined")], floor=0.5)

    written = json.loads(save(report, tmp_path).read_text())

    assert {tag: share["accuracy"] for tag, share in written["by_tag"].items()} == {"declined": 1.0, "loud": 0.5}
    assert written["cost_usd"] == 0.003
    assert written["endings"] == {"answered by baseline": 3}


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([PING], 0, "PASS: 1 of 1 right, 100.0%"),
        ([PING, WRONG, MORE], 1, "BELOW FLOOR: 1 of 3 right, 33.3%; the floor is 50.0%"),
        ([], 3, "NO EVIDENCE: there is no case in evals/cases/*.jsonl"),
    ],
)
def test_the_command_ends_as_it_says(
    project: Path, capsys: pytest.CaptureFixture[str], lines: list[str], code: int, said: str
) -> None:
    """What is printed, what is written and the exit code never disagree."""
    write_cases(project, *lines)

    assert chassis("evals", "run") == code

    assert said in capsys.readouterr().out
    assert json.loads((project / "var" / "evals" / "report.json").read_text())["exit_code"] == code


def test_the_command_stops_at_a_bad_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A data set that cannot be read is an error of configuration, not a low accuracy."""
    write_cases(project, PING, PING)

    assert chassis("evals", "run") == 2

    assert "line 2: id: 'ping' is also the id of" in capsys.readouterr().err


def test_an_evaluation_bothers_nobody(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cases that nobody is sure of do not pile up on the desk of the people who answer real callers."""
    write_cases(project, WHY)
    assert chassis("evals", "run") == 0
    capsys.readouterr()

    assert chassis("desk", "list") == 0

    assert capsys.readouterr().out == "Nothing waits for a person.\n"
