"""A confidence is the measured share of right answers, once it is fitted, and says until then that it is not."""

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sample_task
from chassis import Draft
from chassis.config.confidence import ConfidenceCalibration, load_confidence
from chassis.errors import ConfigError
from chassis.testing import ScriptedModel
from chassis_tools.evals.confidence_fit import MIN_ANSWERS, Pairs, calibration_error, fit_and_measure, fit_curve
from cli_runner import run as chassis
from sample_evaluation import add_models, ask, case, echo, edit, judge, write_cases, write_evaluation
from sample_task import Answer, Question

SHAPES: dict[str, Callable[[float], float]] = {
    "too low": lambda confidence: confidence**0.3,
    "too high": lambda confidence: confidence**3,
    "right as it is": lambda confidence: confidence,
    "says nothing": lambda _: 0.7,
    "always right": lambda _: 1.0,
    "never right": lambda _: 0.0,
}
"""The share of right answers by confidence."""


def drawn(share: Callable[[float], float], count: int, seed: int) -> Pairs:
    """Return answers whose confidence is right as often as `share` says."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    confidences = [rng.random() for _ in range(count)]
    return [(each, rng.random() < share(each)) for each in confidences]


@pytest.mark.slow
@pytest.mark.parametrize("share", SHAPES.values(), ids=SHAPES)
def test_a_hundred_answers_are_enough(share: Callable[[float], float]) -> None:
    """On others, the fitted confidence is off by at most 0.08, on average over the answers that it was fitted to."""
    others = drawn(share, 2000, seed=0)
    errors: list[float] = []
    for seed in range(1, 21):
        curve = fit_curve(drawn(share, 100, seed))
        errors.append(calibration_error([(curve.share_right(each), is_right) for each, is_right in others]))

    assert sum(errors) / len(errors) < 0.08


def falling(confidence: float) -> float:
    """Return a share that is lower where the confidence is higher."""
    return 1 - confidence


@pytest.mark.parametrize("share", [*SHAPES.values(), falling])
def test_no_order_changes(share: Callable[[float], float]) -> None:
    """A draft that was more confident than another stays so, even where confident answers are wrong."""
    curve = fit_curve(drawn(share, 100, seed=1))
    fitted = [curve.share_right(each / 100) for each in range(101)]

    assert fitted == sorted(fitted)
    assert fitted[0] == 0
    assert max(fitted) <= 1


@pytest.mark.parametrize("confidence", [0.0, 0.3, 1.0])
def test_the_same_confidence_for_all(confidence: float) -> None:
    """There is nothing to rank, so the curve gives each the share of all."""
    curve = fit_curve([(confidence, number % 4 > 0) for number in range(100)])

    assert curve.share_right(confidence or 0.5) == pytest.approx(0.75, abs=0.02)


def test_the_error_is_measured_on_other_answers() -> None:
    """It falls where the confidence was far too low, and not to the error on the answers that were fitted to."""
    curve = fit_and_measure(drawn(SHAPES["too low"], 400, seed=3))

    assert curve.error_before > 0.2
    assert 0 < curve.error_after < 0.08
    assert (curve.answers, curve.right > 250) == (400, True)


def test_ties_are_not_sorted_by_what_is_right() -> None:
    """A constant confidence that is right on average has no error, in whatever order the answers come."""
    assert calibration_error([(0.5, number % 2 > 0) for number in range(100)]) == 0


@pytest.fixture
def evaluated(project: Path) -> Path:
    """Write an evaluation whose 100 cases the baseline gets right in 90, with a confidence of 0.8."""
    cases = [case(f"c{number}", f"case {number}", "other" if number < 10 else None) for number in range(100)]
    return write_cases(write_evaluation(project), *cases)


def answer(capsys: pytest.CaptureFixture[str]) -> tuple[float, bool]:
    """Return the confidence that a caller gets over HTTP, and whether it is called calibrated."""
    capsys.readouterr()
    assert chassis("ask", "--json", "hello") == 0
    body = json.loads(capsys.readouterr().out)
    return body["confidence"], body["confidence_calibrated"]


def test_a_fit_reaches_callers(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints both errors, and from then on callers get the fitted confidence."""
    assert answer(capsys) == (0.8, False)
    assert chassis("evals", "calibrate-confidence", "answers") == 0
    said = capsys.readouterr().out

    assert "baseline: 90 of 100 answers are right; the calibration error falls from 0.100 to 0.0" in said
    assert "Warning" not in said
    assert answer(capsys) == (pytest.approx(0.9, abs=0.01), True)
    assert chassis("ask", "hello") == 0
    assert "confidence 0.90 · $0.00" in capsys.readouterr().out
    before = load_confidence(evaluated)
    assert chassis("evals", "calibrate-confidence", "answers") == 0
    assert load_confidence(evaluated) == before  # it is fitted to the drafts, not to what the first fit made of them


def test_the_report_says_what_changed(evaluated: Path) -> None:
    """No calibration, a good one, other cases, too few of them, other documents, another code."""

    def problem() -> str | None:
        ask(evaluated)
        return judge(evaluated).suites[0].confidence_problem

    assert "not calibrated" in (problem() or "")
    assert chassis("evals", "calibrate-confidence", "answers") == 0
    assert problem() is None
    (evaluated / "documents").mkdir()
    (evaluated / "documents/new.md").write_text("New.")
    assert problem() == "the documents changed since the confidence was calibrated"
    write_cases(evaluated, *[case(f"c{number}", f"case {number}") for number in range(99)])
    assert problem() == "the cases and the documents changed since the confidence was calibrated"
    assert chassis("evals", "calibrate-confidence", "answers") == 0
    assert problem() == "the confidence was calibrated on only 99 answers of baseline, fewer than 100"
    text = (evaluated / "confidence.json").read_text()
    (evaluated / "confidence.json").write_text(text.replace('"code": "', '"code": "0'))
    assert problem() == "the code changed since the confidence was calibrated"


def test_a_model_is_fitted_to_its_recorded_answers(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No model is asked for it, and the recording stays as it is."""
    add_models(evaluated)
    ask(evaluated, mode="record", models={"first": ScriptedModel(echo)})
    recording = (evaluated / "evals/recordings/answers.jsonl").read_bytes()

    assert chassis("evals", "calibrate-confidence", "answers") == 0

    said = capsys.readouterr().out
    assert "first: 90 of 100 answers are right" in said
    assert "baseline: 90 of 100 answers are right" in said
    assert (evaluated / "evals/recordings/answers.jsonl").read_bytes() == recording


def test_too_few_answers(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A curve of a handful of answers would follow chance, so none is written."""
    write_cases(evaluated, *[case(f"c{number}", f"case {number}") for number in range(MIN_ANSWERS - 1)])

    assert chassis("evals", "calibrate-confidence", "answers") == 2

    assert "no model and no baseline gave 20 answers" in capsys.readouterr().err
    assert not (evaluated / "confidence.json").exists()


def test_a_curve_is_for_what_it_was_fitted_to(evaluated: Path) -> None:
    """The baseline's says nothing of a model, whose confidence therefore stays as it is."""
    assert chassis("evals", "calibrate-confidence", "answers") == 0
    calibration, draft = load_confidence(evaluated), Draft(Answer(text=""), 0.8)

    assert calibration.calibrated(draft, "baseline").confidence > 0.85
    assert calibration.calibrated(draft, "first") is draft
    assert ConfidenceCalibration().calibrated(draft, "baseline") is draft


def test_the_floor_is_compared_with_the_fit(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A baseline that says 0.95 of itself is referred at a floor of 0.93, since 0.9 of its answers are right."""

    def boast(question: Question) -> Draft[Answer]:
        return Draft(Answer(text=question.text.upper()), 0.95)

    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=boast))
    assert chassis("evals", "calibrate-confidence", "answers") == 0

    assert chassis("ask", "hello") == 0
    assert "answered by baseline · confidence 0.90" in capsys.readouterr().out
    edit(evaluated / "constraints.toml", "confidence_floor = 0.5", "confidence_floor = 0.93")
    assert chassis("ask", "hello") == 0
    assert "The ticket is r_" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not valid JSON"),
        ('{"curve": {}}', "unknown key"),
        ('{"curves": {"baseline": {"intercept": 0, "slope": -1}}}', "slope: the value is -1"),
        (json.dumps({"curves": {"baseline": {"intercept": "high"}}}), "intercept: the value is 'high'"),
    ],
)
def test_an_invalid_file(tmp_path: Path, content: str, problem: str) -> None:
    """The error names the file, the key and the command that writes it."""
    (tmp_path / "confidence.json").write_text(content)

    with pytest.raises(ConfigError, match=problem) as caught:
        load_confidence(tmp_path)
    assert "confidence.json (written by `chassis evals calibrate-confidence`)" in str(caught.value)


@pytest.mark.parametrize("target", [None, "/dev/zero", "/"])
def test_a_file_that_is_not_regular(tmp_path: Path, target: str | None) -> None:
    """Reading a pipe waits for ever, and reading a device fills the memory."""
    if target is None:
        os.mkfifo(tmp_path / "confidence.json")
    else:
        (tmp_path / "confidence.json").symlink_to(target)

    with pytest.raises(ConfigError, match=r"^confidence\.json: not a regular file\. Replace it with a text file$"):
        load_confidence(tmp_path)
