"""Running a suite: no case gets lost, no line is misread, and no answer that was paid for is thrown away."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sample_task
from chassis.call import Attempt, Call, Deadline, Turn
from chassis.config.constraints import load_constraints
from chassis.contract import FallbackReason, Referred
from chassis.errors import ConfigError, DatabaseUnavailable, DeadlineExceeded, ModelsOff
from chassis.testing import ScriptedModel
from chassis_tools.evals.cases import load_cases
from chassis_tools.evals.identity import constraints_hash, json_hash
from chassis_tools.evals.jsonl import read_jsonl
from chassis_tools.evals.records import trial_status
from chassis_tools.evals.scoring import read_graders
from chassis_tools.evals.suites import load_suites
from cli_runner import run as chassis
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample_evaluation import (
    CASES,
    FEW,
    GRADERS,
    accept,
    add_models,
    ask,
    case,
    echo,
    edit,
    judge,
    question_in,
    records,
    replace_model,
    run_and_accept,
    trials,
    write_cases,
    write_evaluation,
    write_start,
)
from sample_repository import write_repository
from sample_task import TASK, Answer, Question

INTERRUPTIBLE = """
import signal
from chassis.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""Ctrl-C arrives even if the tests were started in the background, where shells ignore it."""
MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
PING = '{"id": "ping", "input": {"text": "ping"}, "expected": "PING", "tags": ["loud"]}'
WHY = '{"id": "why", "input": {"text": "why?"}, "expected": null, "tags": ["declined"]}'


def write_lines(root: Path, *lines: str, file: str = "start.jsonl") -> Path:
    """Write a data set line by line."""
    folder = root / "evals/cases"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def evaluated(project: Path) -> Path:
    """Write a project with an evaluation that has not been run."""
    return write_evaluation(project)


def test_cases_are_read_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    """Blank lines are skipped, and each question is of the task's own type."""
    write_lines(tmp_path, WHY, file="b.jsonl")
    write_lines(tmp_path, PING, "", file="a.jsonl")

    cases = load_cases(tmp_path, TASK)

    assert [case.id for case in cases] == ["ping", "why"]
    assert cases[0].input == Question(text="ping")
    assert (cases[1].expected, cases[1].tags, cases[1].split) == (None, ("declined",), "gate")
    assert [case.id for case in load_cases(tmp_path, TASK, ["b"])] == ["why"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"id": "x", "input": {"txt": "p"}, "expected": 1}', "line 2: input.txt: unknown key"),
        ('{"id": "x", "input": {}, "expected": 1}', "line 2: input.text: the key is missing. Add it"),
        ('{"id": "x", "input": {"text": ""}, "expected": 1}', "line 2: input.text: the value is ''"),
        ('{"id": "x", "input": {"text": "p"}}', "line 2: expected: the key is missing. Add it"),
        ('{"id": "x", "input": {"text": "p"}, "expected": 1, "tag": 1}', "line 2: tag: unknown key"),
        ('{"id": "x", "input": {"text": "p"}, "expected": 1, "split": "test"}', "line 2: split: the value is 'test'"),
        ('{"id": "", "input": {"text": "p"}, "expected": 1}', "line 2: id: the value is ''"),
        ('{"id": "x", ', "line 2: not valid JSON"),
        ("[]", "line 2: the value is []"),
        (PING, "line 2: id: 'ping' is already the id of evals/cases/start.jsonl line 1. Give each case its own id"),
        (
            '{"id": "x", "input": {"text": " PING"}, "expected": 1, "split": "holdout"}',
            "line 2: input: the question of 'x' is already asked in evals/cases/start.jsonl line 1",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path: Path, line: str, sentence: str) -> None:
    """The error names file, line, field and remedy."""
    with pytest.raises(ConfigError) as refusal:
        load_cases(write_lines(tmp_path, PING, line), TASK)

    assert f"evals/cases/start.jsonl {sentence}" in str(refusal.value)


@pytest.mark.parametrize("target", [None, "/dev/zero"])
def test_only_regular_files_are_read(tmp_path: Path, target: str | None) -> None:
    """Reading a pipe waits for ever, and reading a device fills the memory."""
    readers: dict[str, Callable[[], object]] = {
        "evals/cases/start.jsonl": lambda: load_cases(tmp_path, TASK),
        "evals/graders.py": lambda: read_graders(tmp_path),
        "labels.jsonl": lambda: read_jsonl(tmp_path / "labels.jsonl", dict[str, Any], "Restore it"),
    }
    (tmp_path / "evals/cases").mkdir(parents=True)
    for name, read in readers.items():
        if target is None:
            os.mkfifo(tmp_path / name)
        else:
            (tmp_path / name).symlink_to(target)
        with pytest.raises(ConfigError, match=f"{name}: not a regular file"):
            read()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'cases = ["start"]',
            'cases = ["stop"]',
            "evals/cases/stop.jsonl: there is no such file. Restore it, or remove it",
        ),
        ('kind = "floor"', 'kind = "roof"', "suites.toml: suites.answers.rules[0]"),
        ('evaluator = "right" },', 'evaluator = "rigth" },', "names 'rigth'. Add it to evaluators or correct the name"),
        ('["right"]', '["right", "polite"]', "evals/graders.py: it has no function 'polite'"),
        ('cases = ["start"]', 'cases = ["start"]\nrepeats = 3', "a replay suite gets the same reply each time"),
        ("repeats = 3", "repeats = 3\nmax_repeats = 2", "max_repeats is 2. Write 3, the repeats, or more"),
        (
            '"regression", ev',
            '"regression", max_drop = 0.1, ev',
            "allows no case to get worse. Leave out max_drop and slices",
        ),
    ],
)
def test_an_invalid_suite_is_refused(
    evaluated: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, sentence: str
) -> None:
    """The error names the key and what to write instead."""
    edit(evaluated / "evals/suites.toml", old, new)

    assert chassis("evals", "run", "answers") == 2

    assert sentence in capsys.readouterr().err


def test_a_failed_call_counts_as_wrong(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bugs and wrong answers stay in the denominator; a refusal by the data policy is an outcome like any other."""

    def shaky(question: Question) -> Any:
        if question.text == "crash":
            raise ZeroDivisionError
        return sample_task.shout(question)

    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=shaky))
    cards = case("refused", "4111 1111 1111 1111")
    write_cases(evaluated, case("right", "ping"), case("bug", "crash"), cards, case("referred", "why"))

    ask(evaluated)

    found = {record.case: (record.status, record.error, record.value) for record in records(evaluated)}
    assert found == {
        "right": ("ok", None, 1.0),
        "bug": ("failed", "ZeroDivisionError", 0.0),
        "refused": ("ok", None, 0.0),
        "referred": ("ok", None, 0.0),
    }
    outcomes = {trial.case: trial.outcome for trial in trials(evaluated)}
    assert outcomes["refused"] == {"refused": "input-not-allowed"}
    assert outcomes["referred"] == {"referred": "no_model"}


def test_crashes_count_even_for_a_grader_of_answers_only(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the calls fail, and a grader that returns None for everything but answers still scores 50 %."""

    def shaky(question: Question) -> Any:
        if int(question.text.split()[-1]) % 2:
            raise ZeroDivisionError
        return sample_task.shout(question)

    grader = "def right(case, outcome):\n    return True if hasattr(outcome, 'value') else None\n"
    (evaluated / "evals/graders.py").write_text(grader)
    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=shaky))
    ask(evaluated)

    assert [record.value for record in records(evaluated)] == [1.0, 0.0] * (CASES // 2)


def test_records_hold_what_was_measured_but_no_text(evaluated: Path) -> None:
    """Each record can be traced and compared, and holds neither question nor answer."""
    ask(evaluated)

    [record, *_] = records(evaluated)
    text = (evaluated / "var/evals/answers/records.jsonl").read_text()

    assert (record.case, record.group, record.tags) == ("c0", "c0", ("loud",))
    assert (record.variant, record.repeat, record.must_pass, record.split) == ("service", 1, True, "gate")
    assert record.evaluator_hash
    assert record.trace_id is not None
    assert len(record.trace_id) == 32
    assert "CASE 0" not in text
    assert "case 0" not in text


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return case.expected['x']", "right fails on the case 'c0' with TypeError"),
        ("return 'yes'", "right returns 'yes' for the case 'c0'. Return True, False, a number from 0 to 1, a Score"),
        ("return 7", "right returns 7 for the case 'c0'"),
    ],
)
def test_a_broken_grader_is_an_error(
    evaluated: Path, capsys: pytest.CaptureFixture[str], body: str, sentence: str
) -> None:
    """A grader that crashes or returns no score says nothing about the service; the run ends with an error."""
    (evaluated / "evals/graders.py").write_text(f"def right(case, outcome):\n    {body}\n")

    assert chassis("evals", "run", "answers") == 2

    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"def right(case, outcome:\n    return True\n", "evals/graders.py, line 1: not valid Python ('(' was never"),
        (b"import json\n\nx = = 1\n", "evals/graders.py, line 3: not valid Python (invalid syntax). Correct that line"),
        (b"x = 'a\0b'\n", "evals/graders.py: not valid Python (source code string cannot contain null bytes)"),
        (
            b"import json\nimport no_such\n",
            "evals/graders.py, line 2: ModuleNotFoundError while it is imported (No mod",
        ),
        (b"from sample_task import Nothing\n", "evals/graders.py, line 1: ImportError while it is imported (cannot"),
        (b"\nimport json\njson.loads('{')\n", "evals/graders.py, line 3: JSONDecodeError while it is imported (Expect"),
        (b"import damaged\n", "evals/damaged.py, line 2: not valid Python (invalid syntax). Correct that line"),
        (
            b"def right(case, outcome):\n    import damaged\n",
            "evals/damaged.py, line 2: not valid Python (invalid syntax",
        ),
        (b"def wrong(case, outcome):\n    return True\n", "evals/graders.py: it has no function 'right'"),
        (b"right = 1\n", "evals/graders.py: it has no function 'right'"),
        (b"", "evals/graders.py: it has no function 'right'"),
        (b"# caf\xe9\n" + GRADERS.encode(), "evals/graders.py: the file cannot be read ('utf-8' codec can't decode"),
        (None, "evals/graders.py: the file cannot be read ([Errno 21] Is a directory"),
    ],
)
def test_graders_that_cannot_be_imported_are_named(
    evaluated: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    source: bytes | None,
    sentence: str,
) -> None:
    """The error names file and line in one sentence, as that of the task does, and no traceback hides it."""
    monkeypatch.setattr(sys, "path", [str(evaluated / "evals"), *sys.path])
    (evaluated / "evals/damaged.py").write_text("\n1 +\n")
    graders = evaluated / "evals/graders.py"
    if source is None:
        graders.unlink()
        graders.mkdir()
    else:
        graders.write_bytes(source)

    for command in (["run", "answers"], ["run", "answers", "--case", "c0"]):
        assert chassis("evals", *command) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert "Traceback" not in said


def test_graders_may_start_with_a_byte_order_mark(evaluated: Path) -> None:
    """Some editors on Windows write one."""
    (evaluated / "evals/graders.py").write_text("\ufeff" + GRADERS, encoding="utf-8")

    ask(evaluated)

    assert {record.value for record in records(evaluated)} == {1.0}


def test_a_grader_may_return_fractions_and_none(evaluated: Path) -> None:
    """Scores between 0 and 1 are kept, and a case to which an evaluator does not apply has no record."""
    grades = "{'c0': 0.25, 'c1': None}.get(case.id, True)"
    (evaluated / "evals/graders.py").write_text(f"def right(case, outcome):\n    return {grades}\n")

    ask(evaluated)

    values = {record.case: record.value for record in records(evaluated)}
    assert (values["c0"], values["c2"], "c1" in values) == (0.25, 1.0, False)


def test_the_hash_of_a_grader_depends_on_code_only(evaluated: Path) -> None:
    """Comments, blank lines and imports do not change the hash; any other change does."""

    def fingerprint(text: str) -> str:
        (evaluated / "evals/graders.py").write_text(text)
        ask(evaluated)
        return records(evaluated)[0].evaluator_hash

    plain = fingerprint("def right(case, outcome):\n    return True\n")

    assert fingerprint("import os  # for later\n\ndef right(case, outcome):\n\n    return True  # always\n") == plain
    assert fingerprint("def right(case, outcome):\n    return False\n") != plain


def test_concurrency_is_bounded(evaluated: Path) -> None:
    """A large data set is asked with bounded concurrency, neither all at once nor one by one."""
    add_models(write_start(evaluated, FEW))
    edit(evaluated / "evals/suites.toml", "repeats = 3", "max_concurrency = 3")
    busy, most = 0, 0

    async def count(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal busy, most
        busy, most = busy + 1, max(most, busy + 1)
        await asyncio.sleep(0.01)
        busy -= 1
        return await echo(messages, info)

    ask(evaluated, "live", models={"first": ScriptedModel(count)})

    assert most == 3


def test_a_live_run_repeats_and_compares_with_the_baseline(evaluated: Path) -> None:
    """The service is asked three times and the baseline once; the report gives the price of one more right answer."""
    add_models(evaluated)

    write_cases(evaluated, *(case(f"why{number}", f"why {number}") for number in range(40)))
    ask(evaluated, "live", models={"first": ScriptedModel(echo)})
    [suite] = judge(evaluated, "live").suites

    variants = [record.variant for record in records(evaluated, "live")]
    assert (variants.count("service"), variants.count("baseline"), suite.repeats) == (120, 40, 3)
    [comparison] = suite.baseline_comparisons
    assert (comparison.service, comparison.baseline) == (1.0, 0.0)
    assert comparison.difference.low > 0.9
    assert comparison.usd_per_additional_pass == pytest.approx(0.0006)
    assert comparison.sentence.startswith("The models beat the baseline (right): 100.0% versus 0.0%, +100.0")


def test_an_outage_is_not_a_wrong_answer(evaluated: Path) -> None:
    """Trials that a vendor's outage spoiled are excluded, and too many of them leave no evidence."""
    add_models(evaluated)
    down = ScriptedModel(*[ModelHTTPError(503, "first")] * 4, echo)

    ask(evaluated, "live", models={"first": down}, repeats=1)
    report = judge(evaluated, "live")

    statuses = [record.status for record in records(evaluated, "live") if record.variant == "service"]
    assert (statuses.count("outage"), statuses.count("ok")) == (4, CASES - 4)
    assert all(record.value is None for record in records(evaluated, "live") if record.status == "outage")
    assert report.exit_code == 3
    assert "exclusions: 6.7% of the answers say nothing about the service" in report.summary
    with pytest.raises(ConfigError, match=r"the run is no evidence: 6\.7% .* Run `chassis evals run live` again"):
        accept(evaluated, "live")


def test_a_dead_key_is_no_evidence(evaluated: Path) -> None:
    """After a few refusals the circuit breaker opens; the baseline's answers do not count for the model."""
    add_models(evaluated)
    write_cases(evaluated, *(case(f"c{number}", f"case {number}") for number in range(FEW)))

    ask(evaluated, "live", models={"first": ScriptedModel(ModelHTTPError(401, "first"))})
    report = judge(evaluated, "live")

    service = [record for record in records(evaluated, "live") if record.variant == "service"]
    assert {record.status for record in service} == {"outage"}
    assert {record.error for record in service} == {"ModelHTTPError", "NotAsked"}
    assert report.exit_code == 3


@pytest.mark.parametrize("arguments", [("run", "live"), ("record", "answers")])
def test_a_live_run_without_a_key_is_refused(
    evaluated: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str]
) -> None:
    """A missing secret must not go unnoticed because the baseline is good."""
    add_models(evaluated)

    assert chassis("evals", *arguments) == 2

    message = capsys.readouterr().err
    assert f"suites.{arguments[1]}: the run asks models, and none can be asked here" in message
    assert "Set OPENAI_API_KEY, or run a replay suite" in message


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("live", "suites.live: only replies for replay suites can be recorded. Name a replay suite"),
        ("lives", "there is no suite 'lives'. Choose from: answers, attacks, live"),
    ],
)
def test_only_replies_for_replay_suites_are_recorded(
    evaluated: Path, capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    """Recordings that no run would read are refused before anything is paid for."""
    add_models(evaluated)

    assert chassis("evals", "record", name) == 2

    assert sentence in capsys.readouterr().err


def test_a_run_stays_within_its_budget(evaluated: Path) -> None:
    """The ledger limits an evaluation like any caller, and questions that were not asked are not wrong answers."""
    add_models(write_start(evaluated, FEW))
    edit(evaluated / "evals/suites.toml", "repeats = 3", "repeats = 3\nbudget_usd = 0.02")

    ask(evaluated, "live", models={"first": ScriptedModel(echo)})
    report = judge(evaluated, "live")

    service = [trial for trial in trials(evaluated, "live") if trial.variant == "service"]
    assert 0 < sum(trial.cost for trial in service) <= 20_000_000
    assert {trial.error for trial in service if trial.status == "skipped"} == {"BudgetExhausted"}
    assert report.exit_code == 3


@pytest.mark.slow
def test_an_inconclusive_run_gets_more_repeats(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A floor that the first look cannot decide gets more repeats and a second look."""
    add_models(evaluated)
    replace_model(monkeypatch, ScriptedModel(echo))
    edit(evaluated / "evals/suites.toml", "repeats = 3", 'repeats = 3\nmax_repeats = 5\non_inconclusive = "fail"')
    (evaluated / "evals/graders.py").write_text("def right(case, outcome):\n    return int(case.id[1:]) % 2 == 0\n")
    run_and_accept(evaluated, "live")

    assert chassis("evals", "run", "live") == 4

    assert "live: inconclusive after 3 repeats; asking up to 5" in capsys.readouterr().err
    assert max(record.repeat for record in records(evaluated, "live")) == 5


@pytest.mark.slow
def test_a_stopped_run_can_be_resumed(tmp_path: Path) -> None:
    """Ctrl-C keeps the answers so far; `--resume` asks the rest, and nothing twice."""
    write_evaluation(write_repository(tmp_path))
    write_cases(tmp_path, *({"id": f"c{n}", "input": {"text": f"0.1{n}"}, "expected": f"0.1{n}"} for n in range(500)))
    file = tmp_path / "var/evals/answers/trials.jsonl"
    command = [sys.executable, "-c", INTERRUPTIBLE, "evals", "run", "answers"]
    places = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}

    with subprocess.Popen(command, cwd=tmp_path, env=places, stderr=subprocess.PIPE, text=True) as running:
        while not file.exists() or len(file.read_text().splitlines()) < 10:
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
    kept = trials(tmp_path)
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, env=places, capture_output=True, text=True, check=False)

    assert running.returncode == 130
    assert f"Stopped. {len(kept)} answers are saved; `chassis evals run answers --resume` continues" in said
    assert 10 <= len(kept) < 500
    assert done.returncode == 3, done.stderr  # nothing was accepted yet
    calls = [trial.call_id for trial in trials(tmp_path)]
    assert len(calls) == len(set(calls)) == 500
    assert {trial.call_id for trial in kept} <= set(calls)


def test_another_run_is_not_resumed(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers to other questions are never mixed in."""
    ask(evaluated)
    write_cases(evaluated, case("other", "other"))

    assert chassis("evals", "run", "answers", "--resume") == 2

    assert "the cases changed since the run of" in capsys.readouterr().err


def test_floors_are_compared_for_any_cases(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each floor with what callers would get; the last run stays as it was."""
    referred = {"id": "person", "input": {"text": "why?"}, "expected": None}
    wrong = case("wrong", "wrong", "something else")
    write_cases(evaluated, case("one", "one"), case("two", "two"), wrong, referred)
    ask(evaluated)
    before = (evaluated / "var/evals/answers/trials.jsonl").read_bytes()
    capsys.readouterr()

    assert chassis("evals", "floors", "answers") == 0

    said = capsys.readouterr().out
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in said.splitlines()
        if "│" in line
    }
    assert rows["0.10"] == ["2", "1", "1", "0", "0", "0.500"]
    assert rows["0.50"] == ["2", "1", "0", "0", "1", "0.750"]
    assert rows["0.85"] == ["0", "0", "0", "3", "1", "0.250"]
    assert "In 100.0% of pairs the answerable question has the higher confidence" in said
    assert (
        "the accuracy is 75.0% of 4 cases, which proves at least 35.6%; quality.accuracy_floor is 0.50, write 0.35"
        in said
    )
    assert (evaluated / "var/evals/answers/trials.jsonl").read_bytes() == before
    assert chassis("evals", "floors", "answers", "--json") == 0
    floors = {each["floor"]: each for each in json.loads(capsys.readouterr().out)["floors"]}
    assert (floors[0.5]["right"], floors[0.5]["wrong"], floors[0.5]["accuracy"]["value"]) == (2, 1, 0.75)
    assert chassis("evals", "floors", "answers", "--evaluator", "rigth") == 2


def test_a_case_is_shown_with_all_that_is_known(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer, the reason of the grader, time and cost; an unknown id names its neighbor."""
    grader = "from chassis_tools.evals import Score\n\ndef right(case, outcome, trial):\n"
    grader += "    return Score(0, f'{len(trial.tool_calls)} tools, ${trial.cost_usd:.2f}')\n"
    (evaluated / "evals/graders.py").write_text(grader)
    assert chassis("evals", "run", "answers") == 1
    capsys.readouterr()

    assert chassis("evals", "show", "c7") == 0

    said = capsys.readouterr().out
    for line in ("answers: c7", "question  case 7", "expected  CASE 7", "reason    right: 0 tools, $0.00"):
        assert line in said
    assert chassis("evals", "show", "c7", "--json") == 0
    [shown] = json.loads(capsys.readouterr().out)["cases"]
    assert (shown["suite"], shown["case"]["id"]) == ("answers", "c7")
    assert chassis("evals", "show", "c77") == 2
    assert "there is no case 'c77'. Did you mean" in capsys.readouterr().err


def test_single_cases_are_asked_without_a_verdict(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are shown; the last run, its report and what can be accepted stay as they were."""
    write_cases(
        evaluated, case("one", "one"), case("two", "two", "2"), case("kept", "kept back") | {"split": "holdout"}
    )
    ask(evaluated)
    kept = {path: path.read_bytes() for path in (evaluated / "var/evals/answers").iterdir()}
    write_cases(evaluated, case("one", "one"), case("two", "two", "TWO"), case("kept", "back") | {"split": "holdout"})

    assert chassis("evals", "run", "--case", "two", "--case", "one") == 0

    said = capsys.readouterr().out
    for line in ("answers: one", "answers: two", "scores    right 1", "answer    TWO", "No verdict"):
        assert line in said
    assert "PASS" not in said
    assert {path: path.read_bytes() for path in (evaluated / "var/evals/answers").iterdir()} == kept
    assert not (evaluated / "var/evals/report.json").exists()
    for unknown in ("onee", "kept"):
        assert chassis("evals", "run", "--case", unknown) == 2
        assert f"The cases of answers and attacks: there is no case {unknown!r}" in capsys.readouterr().err


def test_a_case_shows_the_repeat_that_went_wrong(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first answer would say nothing about a case that fails every third time."""
    asked: list[str] = []

    async def flaky(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        asked.append(question_in(messages))
        return ModelResponse([TextPart("wrong" if asked.count("one") == 2 else "ONE")], finish_reason="stop")

    write_cases(evaluated, case("one", "one"))
    add_models(evaluated)
    ask(evaluated, "live", models={"first": ScriptedModel(flaky)})
    assert chassis("evals", "gate", "live") == 3  # nothing was accepted yet
    capsys.readouterr()

    assert chassis("evals", "show", "one") == 0

    assert "answer    wrong" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["trials", "judgements"])
@pytest.mark.parametrize("cut", ["half a line", "half a character", "zeros"])
def test_a_run_that_was_killed_while_it_wrote_is_resumed(evaluated: Path, file: str, cut: str) -> None:
    """The line that was not finished is dropped, and its case is asked again."""
    ask(evaluated)
    path = evaluated / f"var/evals/answers/{file}.jsonl"
    content = path.read_bytes() if file == "trials" else b""
    tails = {
        "half a line": b'{"call_id": "c_1", "ev',
        "half a character": '{"reason": "ü'.encode()[:-1],
        "zeros": b"\0" * 9,
    }
    path.write_bytes(content[:-100] if cut == "half a line" and content else content + tails[cut])

    ask(evaluated, resume=True)

    assert len(trials(evaluated)) == CASES
    assert judge(evaluated).suites[0].findings[0].verdict.name == "PASS"


@pytest.mark.parametrize(
    ("file", "subject"),
    [
        ("documents/page.md", "documents"),
        ("prompts/system.txt", "documents"),
        ("evals/cases/start.jsonl", "cases"),
        ("constraints.toml", "constraints"),
    ],
)
def test_only_the_same_run_is_resumed(
    evaluated: Path, capsys: pytest.CaptureFixture[str], file: str, subject: str
) -> None:
    """Answers that were given from other documents or under other constraints are never mixed in."""
    (evaluated / file).parent.mkdir(exist_ok=True)
    (evaluated / file).touch()
    ask(evaluated)
    path = evaluated / file
    change = {
        "cases": '{"id": "new", "input": {"text": "new"}, "expected": "NEW"}\n',
        "constraints": path.read_text().replace("confidence_floor = 0.5", "confidence_floor = 0.6"),
    }
    path.write_text(change.get(subject, "another text"))

    assert chassis("evals", "run", "answers", "--resume") == 2

    assert f"the {subject} changed since the run of" in capsys.readouterr().err


def test_a_change_cannot_accept_its_own_regression_unseen(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a base commit its accepted run counts, the evidence that the change edits is listed, and so are reasons."""
    run_and_accept(evaluated)
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "base")):
        subprocess.run(("git", "-c", "user.name=x", "-c", "user.email=x@y", *command), cwd=evaluated, check=True)

    def worse(question: Question) -> Any:
        return (
            replace(sample_task.shout(question), value=Answer(text="no"))
            if question.text == "case 5"
            else right(question)
        )

    right = sample_task.TASK.baseline
    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=worse))

    def evaluate() -> tuple[int, str]:
        capsys.readouterr()
        code = chassis("evals", "run", "answers", "--base", "HEAD")
        return code, " ".join(capsys.readouterr().out.split())

    assert evaluate()[0] == 1
    ask(evaluated)
    accept(evaluated, "answers", "The page was removed")
    code, said = evaluate()
    assert code == 0
    assert "1 of 60 cases got worse, 0 better: c5; accepted in this change: The page was removed" in said
    assert "This change edits evidence: M evals/accepted/answers/history.jsonl" in said
    history = evaluated / "evals/accepted/answers/history.jsonl"
    history.write_text(history.read_text().splitlines()[0] + "\n")  # no reason, but the edited scores
    code, said = evaluate()
    assert code == 1
    assert "1 of 60 cases got worse, 0 better: c5" in said
    assert chassis("evals", "run", "answers", "--base", "nowhere") == 2


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "evals/suites.toml",
            '    { kind = "regression", evaluator = "right" },\n',
            "",
            'Changed since HEAD: without { kind = "regression", evaluator = "right" }',
        ),
        (
            "evals/suites.toml",
            '"floor", evaluator = "right"',
            '"floor", evaluator = "right", at_least = 0.1',
            'with { kind = "floor", evaluator = "right", at_least = 0.1 }',
        ),
        ("evals/suites.toml", 'kind = "replay"', 'kind = "replay"\nmax_excluded = 1', "max_excluded: 0.02 -> 1.0"),
        ("constraints.toml", "accuracy_floor = 0.5", "accuracy_floor = 0.1", "quality.accuracy_floor: 0.5 -> 0.1"),
        (
            "evals/suites.toml",
            '[suites.attacks]\nkind = "replay"',
            '[suites.attacks]\nkind = "live"',
            "This change edits evidence: the suite attacks, which is not run any more",
        ),
    ],
)
def test_weaker_rules_are_named(
    evaluated: Path, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, said: str
) -> None:
    """Compared with the base commit: a rule that is gone, a lower floor, more exclusions, a suite that is not run."""
    run_and_accept(evaluated)
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "base")):
        subprocess.run(("git", "-c", "user.name=x", "-c", "user.email=x@y", *command), cwd=evaluated, check=True)
    edit(evaluated / file, old, new)
    capsys.readouterr()

    chassis("evals", "run", "answers", "--base", "HEAD")

    assert said in " ".join(capsys.readouterr().out.split())


def test_a_failing_run_is_accepted_only_with_a_reason(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The cases that got worse are named; accepting the same run again writes nothing."""
    run_and_accept(evaluated)
    write_cases(evaluated, *(case(f"c{n}", f"case {n}", "no" if n in {5, 6} else None) for n in range(CASES)))
    ask(evaluated)
    folder = evaluated / "evals/accepted/answers"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    assert chassis("evals", "accept", "answers") == 2
    said = capsys.readouterr()
    assert "the run fails: answers: regression right: 2 of" in said.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    assert chassis("evals", "accept", "answers", "--although-failed", "The page was removed") == 0
    assert "cases get worse: c5, c6" in capsys.readouterr().out
    line = json.loads((folder / "history.jsonl").read_text().splitlines()[-1])
    assert (line["verdict"], line["reason"], line["worse"]) == ("FAIL", "The page was removed", ["c5", "c6"])
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    ask(evaluated)
    assert chassis("evals", "accept", "answers") == 0
    assert "nothing was written" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == after


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_hash_of_the_constraints_is_the_same_in_every_process(evaluated: Path, seed: str) -> None:
    """A set has another order in each process, which must not look like another decision."""
    constraints = load_constraints(evaluated)
    refused = constraints.data.model_copy(update={"refuse": frozenset({"card", "iban", "email", "phone", "secret"})})
    code = (
        "from chassis_tools.evals.identity import json_hash;"
        "print(json_hash({'data': {'refuse': frozenset({'card', 'iban', 'email', 'phone', 'secret'})}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == json_hash({"data": {"refuse": refused.refuse}})
    assert constraints_hash(constraints) == constraints_hash(load_constraints(evaluated))


def test_an_evaluation_leaves_the_review_queue_alone(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Referred cases do not appear in the review queue of real callers."""
    add_models(evaluated)
    write_cases(evaluated, case("why", "why?"))
    ask(evaluated, "live", models={"first": ScriptedModel(ModelHTTPError(503, "first"))})
    ask(evaluated)
    capsys.readouterr()

    assert chassis("review", "list") == 0

    assert capsys.readouterr().out == "The review queue is empty.\n"


@pytest.mark.parametrize("remove", ["evals/suites.toml", "evals/graders.py"])
def test_a_missing_file_is_named(evaluated: Path, capsys: pytest.CaptureFixture[str], remove: str) -> None:
    """The error says which file is missing."""
    (evaluated / remove).unlink()

    assert chassis("evals", "run", "answers") == 2

    assert f"{Path(remove).name}: there is no such file" in capsys.readouterr().err


def test_terminal_file_and_exit_code_agree(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Terminal, JSON and exit code never disagree."""
    code = chassis("evals", "run", "attacks")
    written = json.loads((evaluated / "var/evals/report.json").read_text())

    assert (code, written["exit_code"], written["verdict"]) == (0, 0, "pass")
    assert written["summary"] in capsys.readouterr().out


def test_suites_are_selected_by_name(evaluated: Path) -> None:
    """Without a name all replay suites are selected; the error about an unknown name lists the suites."""
    suites = load_suites(evaluated)

    assert list(suites.select(())) == ["answers", "attacks"]
    assert list(suites.select(("live",))) == ["live"]
    with pytest.raises(ConfigError, match=r"there is no suite 'lives'\. Choose from: answers, attacks, live"):
        suites.select(("lives",))


@pytest.mark.parametrize(
    ("outcome", "failure", "verdict"),
    [
        (None, ZeroDivisionError(), ("failed", "ZeroDivisionError")),
        (None, DeadlineExceeded("slow"), ("failed", "DeadlineExceeded")),
        (None, DatabaseUnavailable("gone"), ("outage", "DatabaseUnavailable")),
        (None, ModelsOff("off"), ("skipped", "ModelsOff")),
        (Referred("r", FallbackReason.BUDGET_EXHAUSTED, MOMENT), None, ("skipped", "BudgetExhausted")),
        (Referred("r", FallbackReason.LOW_CONFIDENCE, MOMENT), None, ("ok", None)),
    ],
)
def test_the_end_of_a_trial_decides_whether_it_counts(
    outcome: Referred | None, failure: Exception | None, verdict: tuple[str, str | None]
) -> None:
    """Bugs count against the service; the kill switch, a budget and an unavailable database do not."""
    call = Call("c_1", "ann", Deadline.after(5), max_model_requests=1)
    unrecorded = Turn(call, attempts=[Attempt("first", "NotRecorded", 0, 0, 0, 0)])

    assert trial_status(outcome, failure, [], "first") == verdict
    assert trial_status(outcome, failure, [unrecorded], "first") == ("skipped", "NotRecorded")
