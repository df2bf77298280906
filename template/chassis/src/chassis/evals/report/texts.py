"""What was asked, expected and answered, for people."""

import json
from pathlib import Path

from pydantic import JsonValue

from chassis.evals.cases import FOLDER
from chassis.evals.records import Trial


def questions(root: Path) -> dict[str, tuple[str, str]]:
    """Return question and expectation of every case, as its file has them."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted((root / FOLDER).glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip():
                case = json.loads(line)
                found[case["id"]] = (plain(case["input"]), plain(case["expected"]))
    return found


def answers(trials: list[Trial], arm: str) -> dict[str, str]:
    """Return what each case was answered the first time."""
    return {trial.case: _said(trial) for trial in trials if trial.arm == arm and trial.repeat == 1}


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


def _indented(value: JsonValue) -> str:
    text = plain(value)
    return text if "\n" not in text or isinstance(value, str) else "\n  " + text.replace("\n", "\n  ")


def _said(trial: Trial) -> str:
    match trial.ending:
        case None:
            return f"failed with {trial.error}"
        case {"answer": answer, "answered_by": who}:
            return f"{plain(answer)}\n({who})"
        case {"referred": setback}:
            return f"referred ({setback})"
        case ending:
            return f"refused ({ending['refused']})"
