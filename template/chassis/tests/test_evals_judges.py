"""Judges: one failure each, counted against people's labels, and without a say until that was done."""

import json
from pathlib import Path

import pytest
from chassis_tools.evals import environment
from chassis_tools.evals.jsonl import read_jsonl
from chassis_tools.evals.records import Judgement
from chassis_tools.evals.report.html import to_html
from chassis_tools.evals.report.text import figures
from cli_runner import run as chassis
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample_evaluation import (
    FEW,
    accepted,
    add_models,
    ask,
    double,
    judge,
    question_in,
    trust,
    write_evaluation,
    write_start,
)
from test_evals_run import edit, records

from chassis.testing import ScriptedModel
from chassis.usd import format_usd, nano_usd
from chassis.wiring import wire

JUDGE = '[judges.polite]\nmodel = "first"\nfailure = "The answer shouts at the person who asks."\n'


async def strict(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer the sample's questions loudly, and as a judge fail what is loud."""
    text = question_in(messages)
    if "exactly one failure" not in str(info.instructions):
        return ModelResponse([TextPart(text.upper())])
    answer = text.partition("<answer>\n")[2].partition("\n</answer>")[0].removeprefix('{"text":')
    return ModelResponse([TextPart(f"It is in capitals or not.\n**{'FAIL' if answer.isupper() else 'PASS'}**")])


@pytest.fixture
def judged(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a project with a judge, whose model is a double even for the commands."""
    add_models(write_start(write_evaluation(project), FEW))
    (project / "evals/judges.toml").write_text(JUDGE)
    edit(project / "evals/suites.toml", "repeats = 3\n", "")
    live = 'evaluators = ["right"]\nrules = [{ kind = "floor", evaluator = "right" }, { kind = "regression"'
    polite = (
        'evaluators = ["right", "polite"]\nrules = [{ kind = "floor", evaluator = "polite" }, { kind = "regression"'
    )
    edit(project / "evals/suites.toml", live, polite)
    double(monkeypatch, ScriptedModel(strict))
    return project


def write_labels(root: Path, good: int, bad: int) -> None:
    """Let people have labelled quiet answers as good and loud ones as bad."""
    lines = [{"id": f"g{n}", "question": "q", "answer": "quiet", "good": True} for n in range(good)]
    lines += [{"id": f"b{n}", "question": "q", "answer": "LOUD", "good": False} for n in range(bad)]
    folder = root / "evals/labels"
    folder.mkdir(parents=True)
    (folder / "polite.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_judge_that_nobody_checked_may_not_block(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate refuses, and says how to check it or how to let it only advise."""
    ask(judged, "live")

    assert chassis("evals", "gate", "live") == 2

    said = capsys.readouterr().err
    assert "'polite' may not block: the judge was never calibrated" in said
    assert 'Run `chassis evals calibrate polite`, or write severity = "warn"' in said


def test_a_calibrated_judge_blocks(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its agreement with people is kept, and the report shows the rate without its known errors."""
    write_start(judged)
    write_labels(judged, good=50, bad=50)
    ask(judged, "live")

    assert chassis("evals", "calibrate", "polite") == 0
    assert "passes 50 of 50 good answers (TPR 100%)" in capsys.readouterr().out

    assert chassis("evals", "gate", "live") == 1
    report = judge(judged, "live")
    assert "floor polite: 0.0% [0.0%, 4.3%] of 60 cases; the floor is 50.0%" in report.summary
    polite = next(rate for rate in report.suites[0].pass_rates if rate.evaluator == "polite" and rate.tag is None)
    assert polite.corrected is not None
    assert polite.corrected.high < 0.1


def test_few_labels_do_not_make_a_judge(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten of ten could be luck: the lower bound is what counts."""
    write_labels(judged, good=10, bad=10)

    assert chassis("evals", "calibrate", "polite") == 1

    assert "It may not block: it passes 10 of 10 good answers (TPR 100%, lower bound 79%)" in capsys.readouterr().out


def test_another_judge_is_another_judge(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After its failure was reworded, the labels have to be looked at again."""
    trust(judged, "polite")
    edit(judged / "evals/judges.toml", "shouts at", "yells at")
    ask(judged, "live")
    capsys.readouterr()

    assert chassis("evals", "gate", "live") == 2

    assert "the judge has changed since it was calibrated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("severity", "rules"), [("block", ["exclusions"]), ("warn", ["floor polite", "regression right"])]
)
def test_a_judge_that_rambles_is_an_error_of_the_judge(
    judged: Path, monkeypatch: pytest.MonkeyPatch, severity: str, rules: list[str]
) -> None:
    """Neither PASS nor FAIL is no verdict on the service; whether that spoils the run depends on the judge's say."""
    trust(judged, "polite")
    edit(judged / "evals/suites.toml", 'evaluator = "polite" }', f'evaluator = "polite", severity = "{severity}" }}')
    double(monkeypatch, ScriptedModel("Well, it depends."))

    ask(judged, "live")

    statuses = {record.evaluator: (record.status, record.error) for record in records(judged, "live")}
    assert statuses["polite"] == ("judge_error", "NeitherPassNorFail")
    assert statuses["right"][0] == "ok"
    [suite] = judge(judged, "live").suites
    assert suite.verdict.value == 3
    assert [finding.rule for finding in suite.findings] == rules


def test_a_judge_that_only_advises_may_be_absent(judged: Path) -> None:
    """Where its model cannot be asked the rest of the run goes on, and the report says that the judge said nothing."""
    constraints = judged / "constraints.toml"
    other = constraints.read_text().partition("[[models]]")[2].replace('"first"', '"second"')
    constraints.write_text(f"{constraints.read_text()}[[models]]{other}")
    edit(judged / "evals/judges.toml", '"first"', '"second"')
    edit(judged / "evals/suites.toml", 'evaluator = "polite" }', 'evaluator = "polite", severity = "warn" }')

    ask(judged, "live")

    assert {record.error for record in records(judged, "live") if record.evaluator == "polite"} == {"NoModel"}
    floor, *_ = judge(judged, "live").suites[0].findings
    assert floor.sentence == "No case has a score from 'polite'"


def test_a_judge_is_spoken_of_before_anybody_asks_it(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A suite that never asks it can say how far it is to be believed."""
    edit(
        judged / "evals/suites.toml",
        '{ kind = "must-pass"',
        '{ kind = "judge", evaluator = "polite", severity = "warn" },\n    { kind = "must-pass"',
    )
    accepted(judged)

    def told() -> str:
        capsys.readouterr()
        assert chassis("evals", "gate", "answers") == 0
        return " ".join(capsys.readouterr().out.split())

    assert "the judge was never calibrated; run `chassis evals calibrate polite` where its model can be asked" in told()
    trust(judged, "polite")
    assert "judge polite warn PASS" in told()
    edit(judged / "evals/judges.toml", "shouts at", "yells at")
    assert "the judge has changed since it was calibrated" in told()


def test_verdicts_are_not_paid_for_twice(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is resumed keeps what its judge has said."""
    ask(judged, "live")
    model = ScriptedModel(strict)
    double(monkeypatch, model)

    ask(judged, "live", resume=True)

    assert model.requests == []
    assert {record.evaluator for record in records(judged, "live")} == {"right", "polite"}


def test_a_verdict_is_kept_as_soon_as_it_is_paid_for(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops the judge half-way pays only for the other half when the run goes on."""

    async def impatient(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if "exactly one failure" in str(info.instructions) and len(judgements(judged)) == 7:
            raise KeyboardInterrupt
        return await strict(messages, info)

    edit(judged / "evals/suites.toml", 'kind = "live"', 'kind = "live"\nmax_concurrency = 1')
    double(monkeypatch, ScriptedModel(impatient))
    with pytest.raises(KeyboardInterrupt):
        ask(judged, "live")
    model = ScriptedModel(strict)
    double(monkeypatch, model)

    ask(judged, "live", resume=True)

    assert len(model.requests) == 2 * FEW - 7
    assert len(judgements(judged)) == 2 * FEW  # those of the baseline are judged, too


def judgements(root: Path) -> list[Judgement]:
    """Return what judges have said so far."""
    return read_jsonl(root / "var/evals/live/judgements.jsonl", Judgement, "")


def test_the_report_says_why_and_for_how_much(judged: Path) -> None:
    """A judge's reason stands beside the answer, and what judges cost is in what was spent."""
    trust(judged, "polite")
    ask(judged, "live")

    report = judge(judged, "live")

    [suite] = report.suites
    assert suite.cases[0].judge_reasons == "polite: FAIL. It is in capitals or not."
    assert "<h4>Judges</h4><pre>polite: FAIL. It is in capitals" in to_html(report)
    assert 0 < suite.judges_cost_usd < suite.cost_usd
    judges_cost = format_usd(nano_usd(suite.judges_cost_usd))
    assert ("Cost of judges", judges_cost) in figures(suite)


def test_the_key_of_a_judge_is_named(
    judged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever calibrates without it is told which variable to set, and has lost nothing."""
    write_labels(judged, good=50, bad=50)
    monkeypatch.setattr(environment, "wire", wire)

    assert chassis("evals", "calibrate", "polite") == 2

    said = "judges.polite.model: the model 'first' cannot be asked here. Set OPENAI_API_KEY\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("rude",), "there is no judge 'rude'. Choose from: polite"),
        (("polite",), "evals/labels/polite.jsonl: there are no labeled answers. Label at least 50 good and 50 bad"),
    ],
)
def test_what_a_calibration_lacks_is_named(
    judged: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    """One sentence, and what to do."""
    del judged

    assert chassis("evals", "calibrate", *arguments) == 2

    assert sentence in capsys.readouterr().err
