"""Recorded replies: the same verdict without a network, and never a hidden call to a model."""

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from chassis.config.constraints import load_constraints
from chassis.testing import ScriptedModel
from chassis_tools.evals.jsonl import read_jsonl, write_jsonl
from chassis_tools.evals.recordings import RecordedReply, Recording
from chassis_tools.evals.records import ScoreRecord
from cli_runner import run as chassis
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo
from sample_evaluation import (
    FEW,
    add_models,
    ask,
    case,
    echo,
    judge,
    records,
    run_and_accept,
    trials,
    write_cases,
    write_evaluation,
    write_start,
)

RECORDING = "evals/recordings/answers.jsonl"


@pytest.fixture
def recorded(project: Path) -> Path:
    """Write a project with a model whose replies are recorded, and accepted."""
    add_models(write_start(write_evaluation(project), FEW))
    return run_and_accept(project, mode="record", models={"first": ScriptedModel(echo)})


def unreachable() -> dict[str, Model]:
    """Return a model that fails the test when it is asked."""
    return {"first": ScriptedModel(AssertionError("a replay asked a model"))}


def test_a_recording_replays_the_same_verdict_byte_for_byte(recorded: Path) -> None:
    """Recorded replies are judged again offline, with the cost and latency that they had."""
    first = _verdict(recorded)

    ask(recorded, models=unreachable())

    assert _verdict(recorded) == first
    assert {trial.answered_by for trial in trials(recorded) if trial.variant == "service"} == {"first"}
    assert sum(record.cost for record in records(recorded)) == FEW * 600_000
    recording = (recorded / RECORDING).read_text()
    ask(recorded, models=unreachable())
    assert (recorded / RECORDING).read_text() == recording


def _verdict(root: Path) -> str:
    """Return the verdict in the report."""
    report = judge(root)
    findings = [finding.sentence for finding in report.suites[0].findings if finding.rule != "latency"]
    return json.dumps([report.verdict.name, report.exit_code, report.summary, findings])


def test_a_replay_takes_the_recorded_time(recorded: Path) -> None:
    """Each trial gets the seconds of its own replies, although trials run concurrently."""
    recording = recorded / RECORDING
    replies = read_jsonl(recording, RecordedReply, "")
    write_jsonl(recording, [replace(reply, seconds=100.0 * n).signed() for n, reply in enumerate(replies, start=1)])

    ask(recorded, models=unreachable())

    seconds = sorted(trial.seconds for trial in trials(recorded) if trial.variant == "service")
    assert [round(each, -2) for each in seconds] == [100.0 * number for number in range(1, FEW + 1)]


def test_a_reply_that_is_not_recorded_is_no_evidence(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict names the command that records replies, and no model was asked."""
    write_cases(recorded, case("new", "a new question"))

    ask(recorded, models=unreachable())

    assert chassis("evals", "gate", "answers") == 3
    said = " ".join(capsys.readouterr().out.split())
    sentence = "No reply of first: openai first to the current prompt is recorded for new"
    assert f"{sentence}; run `chassis evals record answers`" in said
    assert [record.error for record in records(recorded) if record.variant == "service"] == ["NotRecorded"]


def test_recording_again_asks_only_what_is_new(recorded: Path) -> None:
    """Replies that no case needs any more are removed."""
    model = ScriptedModel(echo)
    cases = [case(f"c{number}", f"case {number}") for number in range(FEW - 1)]
    write_cases(recorded, *cases, case("new", "a new question"))

    ask(recorded, mode="record", models={"first": model})

    assert len(model.requests) == 1
    assert len((recorded / RECORDING).read_text().splitlines()) == FEW


async def interrupt(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Press Ctrl-C while a model is asked."""
    signal.raise_signal(signal.SIGINT)
    await asyncio.Event().wait()
    raise AssertionError("the run goes on")


def test_a_recorded_reply_is_kept_at_once(recorded: Path) -> None:
    """If recording is stopped half-way, it asks only for the rest the next time."""
    (recorded / RECORDING).unlink()
    suites = recorded / "evals/suites.toml"
    suites.write_text(suites.read_text().replace('cases = ["start"]', 'cases = ["start"]\nmax_concurrency = 1', 1))
    stopped = ScriptedModel(*[echo] * 7, interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what they run in the background
    with pytest.raises(KeyboardInterrupt):
        ask(recorded, mode="record", models={"first": stopped})
    model = ScriptedModel(echo)

    ask(recorded, mode="record", models={"first": model})

    assert len(model.requests) == FEW - 7


def test_without_a_recording_the_baseline_answers(project: Path) -> None:
    """An API key in the environment does not make a replay cost money."""
    add_models(write_evaluation(project))

    ask(project, models=unreachable())

    assert {record.variant for record in records(project)} == {"service"}
    assert {trial.answered_by for trial in trials(project)} == {"baseline"}


def test_a_recording_that_cannot_be_read_is_named(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the line and the command that writes the file again."""
    (recorded / RECORDING).write_text('{"model": "first"}\n')

    assert chassis("evals", "run", "answers") == 2

    said = capsys.readouterr().err
    assert "recordings/answers.jsonl line 1: key: the key is missing" in said
    assert "run `chassis evals record answers`" in said


FIRST = (
    '{"variant": "service", "case": "c0", "case_hash": "h", "group": "c0", "tags": ["loud"], "split": "gate", '
    '"must_pass": true, "repeat": 1, "status": "ok", "error": null, "evaluator": "right", "evaluator_hash": "e", '
    '"value": 1.0, "seconds": 0.01, "cost": 0, "input_tokens": 0, "output_tokens": 0, "call_id": "x", "trace_id": null}'
)
"""A record as the first release writes it. Teams commit such lines, so a field that is added needs a default."""


def test_a_record_of_the_first_release_can_still_be_read(tmp_path: Path) -> None:
    """So can one of a later release, with a field that is unknown here."""
    (tmp_path / "records.jsonl").write_text(f"{FIRST}\n{FIRST.replace('{', '''{"later": 1, ''', 1)}\n")

    assert [record.case for record in read_jsonl(tmp_path / "records.jsonl", ScoreRecord, "")] == ["c0", "c0"]


def test_an_accepted_run_that_cannot_be_read_is_named(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names line and field, and how to make a new one."""
    (recorded / "evals/accepted/answers/records.jsonl").write_text(FIRST.replace('"variant": "service", ', "") + "\n")

    assert chassis("evals", "gate", "answers") == 2

    message = capsys.readouterr().err
    assert "answers/records.jsonl line 1: variant: the key is missing" in message
    assert "Run `git checkout HEAD -- evals/accepted/answers`" in message


@pytest.mark.parametrize(
    ("old", "new"),
    [("first: openai first", "first: openai second"), ("CASE 3", "CASE 4"), ('"seconds": 0', '"seconds": 1')],
)
def test_a_recording_that_was_edited_is_named(
    recorded: Path, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    """Whether another model is to get the replies, or the model better ones."""
    path = recorded / "evals/recordings/answers.jsonl"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    assert chassis("evals", "run", "answers") == 2

    assert "the line was edited by hand" in capsys.readouterr().err


def test_a_model_that_was_not_asked_is_no_edit(recorded: Path) -> None:
    """The line that notes it is read again like the others."""
    path = recorded / RECORDING
    recording = Recording.load(recorded, "answers")
    recording.note_unasked(load_constraints(recorded).models)
    recording.prune()

    assert Recording.load(recorded, "answers").replayable(load_constraints(recorded).models) == []
    assert '"seconds": 0.0' in path.read_text()


@pytest.mark.parametrize("seconds", [0, 0.0, 1, 0.25])
def test_a_line_that_was_written_is_not_taken_for_edited(tmp_path: Path, seconds: float) -> None:
    """Also that of a model that was not asked, whose seconds are a whole number until they are read back."""
    recording = Recording.load(tmp_path, "few")
    recording.path.parent.mkdir(parents=True)
    recording.add(RecordedReply("m", "k", seconds, None).signed())

    assert Recording.load(tmp_path, "few").replies.keys() == {("m", "k")}
