"""Judges a finished run of twenty thousand records with their answers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chassis_tools.evals.cases import load_cases
from chassis_tools.evals.jsonl import write_jsonl
from chassis_tools.evals.records import RECORDS, TRIALS, ScoreRecord, Trial

from benchmarks.evaluation.project import TASK, write_project

CASES, REPEATS = 5_000, 4
ROOT = Path(__file__).parents[2]
KILOBYTES_PER_MB = 1024


def judge_many(root: Path) -> dict[str, dict[str, float]]:
    """Write the run into a project at `root`, and return time and peak memory of each command that judges it."""
    write_project(root, [f"case {number}" for number in range(CASES)])
    hashes = {case.id: case.hash for case in load_cases(root, TASK)}
    for folder in ("var/evals/live", "evals/accepted/live"):
        write_jsonl(root / folder / TRIALS, _trials())
        write_jsonl(root / folder / RECORDS, _records(hashes))
    return {f"chassis evals {command}": _judged(root, command) for command in ("gate live", "report")}


def _judged(root: Path, command: str) -> dict[str, float]:
    code = "from chassis.cli.main import main; main()"
    places = os.environ | {"PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, "evals", *command.split()], cwd=root, env=places, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return {
        "wall s": time.perf_counter() - started,
        "CPU s": used.ru_utime + used.ru_stime,
        "peak MB": used.ru_maxrss / KILOBYTES_PER_MB,
    }


def _summaries() -> Iterator[dict[str, Any]]:
    for number in range(CASES):
        for repeat in range(1, REPEATS + 1):
            yield {
                "variant": "service",
                "case": f"case {number}",
                "repeat": repeat,
                "status": "ok",
                "error": None,
                "answered_by": "stub",
                "seconds": 0.5 + number % 100 / 100,
                "cost": 1_000_000,
                "input_tokens": 100,
                "output_tokens": 100,
                "call_id": f"c_{number}_{repeat}",
                "trace_id": None,
            }


def _trials() -> Iterator[Trial]:
    for values in _summaries():
        answer = {"text": f"The answer to {values['case']} is in capitals. " * 4}
        outcome: dict[str, Any] = {
            "answered_by": "stub",
            "answer": answer,
            "confidence": 1.0,
            "degraded": False,
            "fallback_reason": None,
        }
        yield Trial(**values, outcome=outcome)


def _records(hashes: dict[str, str]) -> Iterator[ScoreRecord]:
    """Yield a record for each; one repeat in four is wrong."""
    for values in _summaries():
        name = str(values["case"])
        yield ScoreRecord(
            **values,
            case_hash=hashes[name],
            group=name,
            tags=("a", "b"),
            split="gate",
            must_pass=False,
            evaluator="same",
            evaluator_hash="e",
            value=0.0 if values["repeat"] == REPEATS else 1.0,
        )
