"""Judges: each looks for one failure, and may not block before it was compared with people's labels."""

import json
from pathlib import Path

import pytest
from chassis.testing import ScriptedModel
from chassis.usd import format_usd, nano_usd
from chassis.wiring import wire
from chassis_tools.evals import environment
from chassis_tools.evals.jsonl import read_jsonl
from chassis_tools.evals.records import Judgement
from chassis_tools.evals.report.output import to_html
from chassis_tools.evals.report.text import figures
from cli_runner import run as chassis
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample_evaluation import (
    FEW,
    add_judge,
    add_models,
    ask,
    edit,
    judge,
    question_in,
    records,
    replace_model,
    run_and_accept,
    save_agreement,
    write_evaluation,
    write_start,
)

JUDGE = '[judges.polite]\nmodel = "first"\nfailure = "The answer shouts at the person who asks."\n'


async def strict(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer the sample's questions in capitals, and as a judge fail answers in capitals."""
    text = question_in(messages)
    if "exactly one failure" not in str(info.instructions):
        return ModelResponse([TextPart(text.upper())])
    answer = text.partition("<answer>\n")[2].partition("\n</answer>")[0].removeprefix('{"text":')
    return ModelResponse([TextPart(f"It is in capitals or not.\n**{'FAIL' if answer.isupper() else 'PASS'}**")])


@pytest.fixture
def judged(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a project with a judge, whose model is a double for the commands too."""
    add_models(write_start(write_evaluation(project), FEW))
    add_judge(project, JUDGE)
    edit(project / "evals/suites.toml", "repeats = 3\n", "")
    live = 'evaluators = ["right"]\nrules = [{ kind = "floor", evaluator = "right" }, { kind = "regression"'
    polite = (
        'evaluators = ["right", "polite"]\nrules = [{ kind = "floor", evaluator = "polite" }, { kind = "regression"'
    )
    edit(project / "evals/suites.toml", live, polite)
    replace_model(monkeypatch, ScriptedModel(strict))
    return project


def write_labels(root: Path, good: int, bad: int) -> None:
    """Write labels: quiet answers are good, and loud ones bad."""
    lines = [{"id": f"g{n}", "question": "q", "answer": "quiet", "good": True} for n in range(good)]
    lines += [{"id": f"b{n}", "question": "q", "answer": "LOUD", "good": False} for n in range(bad)]
    folder = root / "evals/labels"
    folder.mkdir(parents=True)
    (folder / "polite.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_an_uncalibrated_judge_may_not_block(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says how to calibrate it, or how to let it only warn."""
    ask(judged, "live")

    assert chassis("evals", "gate", "live") == 2

    said = capsys.readouterr().err
    assert "'polite' may not block: the judge was never calibrated" in said
    assert 'Run `chassis evals calibrate polite`, or write severity = "warn"' in said


def test_a_calibrated_judge_blocks(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its agreement with people is kept, and the report shows the pass rate corrected for its known errors."""
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


def test_few_labels_do_not_calibrate_a_judge(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten of ten may be chance: the lower bound counts."""
    write_labels(judged, good=10, bad=10)

    assert chassis("evals", "calibrate", "polite") == 1

    assert "It may not block: it passes 10 of 10 good answers (TPR 100%, lower bound 79%)" in capsys.readouterr().out


def test_a_reworded_judge_must_be_calibrated_again(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After its failure was reworded, it has to be calibrated again."""
    save_agreement(judged, "polite")
    edit(judged / "evals/suites.toml", "shouts at", "yells at")
    ask(judged, "live")
    capsys.readouterr()

    assert chassis("evals", "gate", "live") == 2

    assert "the judge has changed since it was calibrated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("severity", "rules"), [("block", ["exclusions"]), ("warn", ["floor polite", "regression right"])]
)
def test_a_reply_without_a_verdict_is_an_error_of_the_judge(
    judged: Path, monkeypatch: pytest.MonkeyPatch, severity: str, rules: list[str]
) -> None:
    """Neither PASS nor FAIL says nothing about the service; it spoils the run only if the judge may block."""
    save_agreement(judged, "polite")
    edit(judged / "evals/suites.toml", 'evaluator = "polite" }', f'evaluator = "polite", severity = "{severity}" }}')
    replace_model(monkeypatch, ScriptedModel("Well, it depends."))

    ask(judged, "live")

    statuses = {record.evaluator: (record.status, record.error) for record in records(judged, "live")}
    assert statuses["polite"] == ("judge_error", "NeitherPassNorFail")
    assert statuses["right"][0] == "ok"
    [suite] = judge(judged, "live").suites
    assert suite.verdict.value == 3
    assert [finding.rule for finding in suite.findings] == rules


def test_a_judge_that_only_warns_may_be_unavailable(judged: Path) -> None:
    """The run goes on without it, and the report says that it gave no scores."""
    constraints = judged / "constraints.toml"
    other = constraints.read_text().partition("[[models]]")[2].replace('"first"', '"second"')
    constraints.write_text(f"{constraints.read_text()}[[models]]{other}")
    edit(judged / "evals/suites.toml", '"first"', '"second"')
    edit(judged / "evals/suites.toml", 'evaluator = "polite" }', 'evaluator = "polite", severity = "warn" }')

    ask(judged, "live")

    assert {record.error for record in records(judged, "live") if record.evaluator == "polite"} == {"NoModel"}
    floor, *_ = judge(judged, "live").suites[0].findings
    assert floor.sentence == "No case has a score from 'polite'"


def test_a_calibration_is_checked_without_asking_the_judge(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A suite that never asks a judge can still check its calibration."""
    edit(
        judged / "evals/suites.toml",
        '{ kind = "must-pass"',
        '{ kind = "judge", evaluator = "polite", severity = "warn" },\n    { kind = "must-pass"',
    )
    run_and_accept(judged)

    def told() -> str:
        capsys.readouterr()
        assert chassis("evals", "gate", "answers") == 0
        return " ".join(capsys.readouterr().out.split())

    assert "The judge was never calibrated; run `chassis evals calibrate polite` where its model can be asked" in told()
    save_agreement(judged, "polite")
    assert "judge polite warn PASS" in told()
    edit(judged / "evals/suites.toml", "shouts at", "yells at")
    assert "The judge has changed since it was calibrated" in told()


def test_judgements_are_not_paid_for_twice(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is resumed keeps its judgements."""
    ask(judged, "live")
    model = ScriptedModel(strict)
    replace_model(monkeypatch, model)

    ask(judged, "live", resume=True)

    assert model.requests == []
    assert {record.evaluator for record in records(judged, "live")} == {"right", "polite"}


def test_a_judgement_is_kept_as_soon_as_it_is_paid_for(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a run is stopped half-way, only the missing judgements are asked for when it continues."""

    async def impatient(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if "exactly one failure" in str(info.instructions) and len(judgements(judged)) == 7:
            raise KeyboardInterrupt
        return await strict(messages, info)

    edit(judged / "evals/suites.toml", 'kind = "live"', 'kind = "live"\nmax_concurrency = 1')
    replace_model(monkeypatch, ScriptedModel(impatient))
    with pytest.raises(KeyboardInterrupt):
        ask(judged, "live")
    model = ScriptedModel(strict)
    replace_model(monkeypatch, model)

    ask(judged, "live", resume=True)

    assert len(model.requests) == 2 * FEW - 7
    assert len(judgements(judged)) == 2 * FEW  # those of the baseline are judged, too


def judgements(root: Path) -> list[Judgement]:
    """Return the judgements so far."""
    return read_jsonl(root / "var/evals/live/judgements.jsonl", Judgement, "")


def test_the_report_shows_reasons_and_cost_of_judges(judged: Path) -> None:
    """A judge's reason is shown beside the answer, and the cost of judges is part of the total."""
    save_agreement(judged, "polite")
    ask(judged, "live")

    report = judge(judged, "live")

    [suite] = report.suites
    assert suite.cases[0].judge_reasons == "polite: FAIL. It is in capitals or not."
    assert "<h4>Judges</h4><pre>polite: FAIL. It is in capitals" in to_html(report)
    assert 0 < suite.judges_cost_usd < suite.cost_usd
    judges_cost = format_usd(nano_usd(suite.judges_cost_usd))
    assert ("Cost of judges", judges_cost) in figures(suite)


def test_calibrating_without_a_key_names_the_variable(
    judged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the variable to set."""
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
def test_a_calibration_needs_a_judge_and_labels(
    judged: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    """The error says what is missing and what to do."""
    del judged

    assert chassis("evals", "calibrate", *arguments) == 2

    assert sentence in capsys.readouterr().err
