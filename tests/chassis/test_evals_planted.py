"""Planted regressions: each fails the gate with its own exit code and sentence."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sample_task
from chassis import Draft
from chassis.testing import ScriptedModel
from chassis_tools.evals import gate as rules
from chassis_tools.evals.gate_result import Finding, GateContext, GateVerdict
from chassis_tools.evals.suites import Rule
from cli_runner import run as chassis
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage
from sample_evaluation import (
    CASES,
    add_judge,
    add_models,
    ask,
    question_in,
    replace_model,
    run_and_accept,
    save_agreement,
    write_cases,
    write_evaluation,
)
from sample_task import Answer, Question

type Plant = Callable[[Path, pytest.MonkeyPatch], None]
type Baseline = Callable[[Question], Draft[Answer]]

SUITES = ("answers", "attacks")


def with_baseline(monkeypatch: pytest.MonkeyPatch, baseline: Baseline) -> None:
    """Replace the baseline of the task."""
    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=baseline))


def search_disabled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer everything in the same useless way."""
    with_baseline(monkeypatch, lambda _: Draft(Answer(text="Nothing was found."), confidence=0.9))
    ask(root)


def leaked_canary(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say the word that the attack wants."""
    with_baseline(monkeypatch, lambda _: Draft(Answer(text="Of course: CANARY"), confidence=0.9))
    ask(root, "attacks")


def slower(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take longer than the limit allows."""

    def slow(question: Question) -> Draft[Answer]:
        time.sleep(0.2)
        return sample_task.shout(question)

    suites = root / "evals/suites.toml"
    suites.write_text(suites.read_text().replace("p95_seconds = 9", "p95_seconds = 0.15"))
    with_baseline(monkeypatch, slow)
    ask(root)


def dearer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a model write much more than it needs to."""

    async def wordy(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        text = question_in(messages).upper()
        usage = RequestUsage(input_tokens=10, output_tokens=100)
        return ModelResponse([TextPart(text)], usage=usage, finish_reason="stop")

    del monkeypatch
    add_models(root)
    ask(root, mode="record", models={"first": ScriptedModel(wordy)})


def half_crash(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on every second question."""

    def shaky(question: Question) -> Draft[Answer]:
        if int(question.text.split()[-1]) % 2:
            raise ZeroDivisionError
        return sample_task.shout(question)

    suites = root / "evals/suites.toml"
    suites.write_text(
        suites.read_text().replace('"right" },\n    { kind = "r', '"right", at_least = 0.9 },\n    { kind = "r', 1)
    )
    with_baseline(monkeypatch, shaky)
    ask(root)


def emptied_data_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove every case."""
    del monkeypatch
    write_cases(root)
    ask(root)


def deleted_suite(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a suite whose run was accepted."""
    del monkeypatch
    suites = root / "evals/suites.toml"
    suites.write_text(suites.read_text().replace("[suites.attacks]", "[suites.other]"))


def judge_that_always_passes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rules that block depend on a judge that never fails anything."""
    add_models(root)
    graders = root / "evals/graders.py"
    graders.write_text(graders.read_text().replace("def right", "def rightly"))
    add_judge(root, '[judges.right]\nmodel = "first"\nfailure = "The answer is wrong."\n')
    save_agreement(root, "right", bad_failed=0)
    replace_model(monkeypatch, ScriptedModel("Fine.\nPASS"))
    ask(root, mode="record")


PLANTED: list[tuple[Plant, int, str]] = [
    (search_disabled, 1, f"regression right: {CASES} of {CASES} cases got worse"),
    (leaked_canary, 1, "never harmless: It happened in 1 of 1 cases: a"),
    (slower, 1, "latency: p95 is 0."),
    (dearer, 1, "cost: $0.0101 per answer; the limit is $0.002"),
    (half_crash, 1, "the floor is 90.0%; the service failed with 30 × ZeroDivisionError"),
    (emptied_data_set, 3, "cases: No case was asked"),
    (deleted_suite, 2, "suites.attacks: the suite is missing, but it has an accepted run"),
    (judge_that_always_passes, 2, "'right' may not block: it fails 0 of 50 bad answers (TNR 0%"),
]


@pytest.fixture
def evaluated(project: Path) -> Path:
    """Write a project whose runs are good and accepted."""
    write_evaluation(project)
    return run_and_accept(project, *SUITES)


def test_without_a_regression_the_gate_passes(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a regression the gate passes, or the tests below would prove nothing."""
    del evaluated

    assert chassis("evals", "gate") == 0

    assert "PASS. answers: 5 of 5 rules hold" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "code", "sentence"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_regression_fails_the_gate(
    evaluated: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plant: Plant,
    code: int,
    sentence: str,
) -> None:
    """Each has its own exit code, and the last sentence says what it is."""
    plant(evaluated, monkeypatch)

    assert chassis("evals", "gate") == code

    said = capsys.readouterr()
    assert sentence in " ".join((said.out + said.err).split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "check", "sentence"),
    [
        (search_disabled, "regression", "regression right: 60 of 60"),
        (half_crash, "floor", "floor right: 50.0%"),
        (leaked_canary, "never", "never harmless: It happened"),
        (slower, "latency", "latency: p95 is"),
        (dearer, "cost", "cost: $0.0101"),
    ],
)
def test_without_its_check_a_regression_goes_unnoticed(
    evaluated: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plant: Plant,
    check: str,
    sentence: str,
) -> None:
    """Without the check the regression goes unnoticed, and the test above would fail."""

    def blind(rule: Rule, context: GateContext) -> Finding:
        del context
        return Finding(rule=rule.kind, verdict=GateVerdict.PASS, sentence="")

    plant(evaluated, monkeypatch)
    monkeypatch.setattr(rules, f"check_{check}", blind)

    chassis("evals", "gate")

    assert sentence not in " ".join(capsys.readouterr().out.rpartition("FAIL.")[2].split())


def test_a_suite_without_rules_is_no_evidence(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate without a check proves nothing."""
    suites = evaluated / "evals/suites.toml"
    text = suites.read_text()
    suites.write_text(text.replace('rules = [{ kind = "never", evaluator = "harmless" }]', "rules = []"))

    assert chassis("evals", "gate") == 3

    assert "No rule of this suite blocks" in capsys.readouterr().out


def test_a_deleted_accepted_run_is_no_evidence(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Deleting the accepted run is not a way to pass."""
    shutil.rmtree(evaluated / "evals/accepted/answers")

    assert chassis("evals", "gate") == 3

    assert "run `chassis evals accept answers` if that is intended" in " ".join(capsys.readouterr().out.split())
