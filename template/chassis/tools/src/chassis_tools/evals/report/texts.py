"""What was asked, expected and answered, for people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from chassis.usd import NanoUsd
from chassis_tools.evals.cases import FOLDER
from chassis_tools.evals.records import Judgement, Trial


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in a run.

    Args:
        trials: What came back.
        accepted: What came back in the accepted run.
        judgements: What judges said of it.
    """

    trials: Sequence[Trial]
    accepted: Sequence[Trial]
    judgements: Sequence[Judgement]

    @property
    def cost(self) -> NanoUsd:
        """Return what the run cost, judges included."""
        return sum(trial.cost for trial in self.trials) + self.cost_of_judges

    @property
    def cost_of_judges(self) -> NanoUsd:
        """Return what the judges cost."""
        return sum(judgement.cost for judgement in self.judgements)

    def reasons(self) -> dict[str, str]:
        """Return why judges think what they think of the service's answers to a case, a line for each answer."""
        trials = {trial.call_id: trial for trial in self.trials if trial.variant == "service"}
        found: dict[str, list[tuple[int, str]]] = {}
        for judgement in self.judgements:
            if trial := trials.get(judgement.call_id):
                found.setdefault(trial.case, []).append((trial.repeat, _reason(judgement)))
        return {case: "\n".join(line for _, line in sorted(lines)) for case, lines in found.items()}


def questions(root: Path) -> dict[str, tuple[str, str]]:
    """Return question and expectation of every case, as its file has them."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted((root / FOLDER).glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip():
                case = json.loads(line)
                found[case["id"]] = (plain(case["input"]), plain(case["expected"]))
    return found


def answers(trials: Sequence[Trial], variant: str) -> dict[str, str]:
    """Return what each case was answered the first time."""
    return {trial.case: _said(trial) for trial in trials if trial.variant == variant and trial.repeat == 1}


def plain(value: JsonValue) -> str:
    """Return JSON the way a person would note it down: a name and a value a line, lists indented."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        only_text = set(value) == {"text"}
        lines = (plain(item) if only_text else f"{name}: {_indented(item)}" for name, item in value.items())
        return "\n".join(lines)
    if isinstance(value, list):
        if any(isinstance(item, dict) for item in value):
            return "\n".join(f"- {plain(item).replace('\n', '\n  ')}" for item in value)
        return ", ".join(plain(item) for item in value)
    return json.dumps(value)


def _reason(judgement: Judgement) -> str:
    said = judgement.error or ("FAIL" if judgement.value == 0 else "PASS")
    return f"{judgement.evaluator}: {said}" + (f". {judgement.reason}" if judgement.reason else "")


def _indented(value: JsonValue) -> str:
    text = plain(value)
    return text if "\n" not in text or isinstance(value, str) else "\n  " + text.replace("\n", "\n  ")


def _said(trial: Trial) -> str:
    match trial.outcome:
        case None:
            return f"failed with {trial.error}"
        case {"answer": answer, "answered_by": who}:
            return f"{plain(answer)}\n({who})"
        case {"referred": fallback_reason}:
            return f"referred ({fallback_reason})"
        case outcome:
            return f"refused ({outcome['refused']})"
