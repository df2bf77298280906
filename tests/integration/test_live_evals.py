"""A real model is evaluated: it fails the floor beside the baseline, and its recording replays the same verdict.

Eight questions are enough to be sure of so small a model, and little enough to wait for.
"""

import json
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from local_model_server import local_model
from markupsafe import escape
from shell import Shell

pytestmark = pytest.mark.slow

CASES = 8
SUITES = """
[suites.few]
kind = "live"
cases = ["few"]
evaluators = ["right"]
max_concurrency = 2
rules = [{ kind = "floor", evaluator = "right" }]

[suites.few-recorded]
kind = "replay"
cases = ["few"]
evaluators = ["right"]
max_concurrency = 2
rules = [{ kind = "floor", evaluator = "right" }, { kind = "cost" }]
"""
ALONE = (
    ('low_confidence = "baseline"', 'low_confidence = "review"'),
    ('models_failed = "baseline"', 'models_failed = "review"'),
    ("max_output_tokens = 200", "max_output_tokens = 64"),
    ("deadline_seconds = 20 ", "deadline_seconds = 200 "),
)
"""The baseline would stand in for such a model, and hold the floor; here it stands alone, however busy the machine."""
VARIES = ("run", "call_id", "trace_id", "seconds")
"""What two runs of the very same never share."""


@pytest.fixture(scope="module")
def evaluated(project: Shell, tmp_path_factory: pytest.TempPathFactory) -> Generator[Shell]:
    """Return the project with a few cases of different documents in suites of their own, and put back its evals/."""
    evals, before = project.folder / "evals", tmp_path_factory.mktemp("before") / "evals"
    shutil.copytree(evals, before)
    whole = evals / "cases/handbook.jsonl"
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    few = list({json.loads(line)["group"]: line for line in lines}.values())[:CASES]
    whole.write_text("".join(line for line in lines if line not in few), encoding="utf-8")
    (evals / "cases/few.jsonl").write_text("".join(few), encoding="utf-8")
    with (evals / "suites.toml").open("a", encoding="utf-8") as suites:
        suites.write(SUITES)
    constraints = project.folder / "constraints.toml"
    for old, new in ALONE:
        assert old in constraints.read_text(encoding="utf-8")
        constraints.write_text(constraints.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    yield project
    shutil.rmtree(evals)
    shutil.copytree(before, evals)


@pytest.fixture(scope="module")
def asked(evaluated: Shell, no_network: tuple[str, ...]) -> tuple[CompletedProcess[str], CompletedProcess[str], str]:
    """Ask the local model in a live run, then record it; return what was said, and the recording's records."""
    with local_model(evaluated, no_network) as cut_off:
        live = cut_off.try_run(".venv/bin/chassis", "evals", "run", "few")
        shutil.copy(evaluated.folder / "var/evals/report.html", evaluated.folder / "var/live.html")
        recorded = cut_off.try_run(".venv/bin/chassis", "evals", "record", "few-recorded")
    return live, recorded, lasting(evaluated.folder)


def lasting(folder: Path) -> str:
    """Return the records of the recorded suite without what differs each time."""
    lines = (folder / "var/evals/few-recorded/records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return "\n".join(json.dumps({key: fact[key] for key in fact if key not in VARIES}) for fact in records)


def test_the_model_fails_the_floor(evaluated: Shell, asked: tuple[CompletedProcess[str], ...]) -> None:
    """For certain, with the exit code of a failure, and the report holds it against the baseline."""
    said = " ".join(asked[0].stdout.split())

    assert asked[0].returncode == 1, asked[0].stdout + asked[0].stderr
    assert f"of {CASES} cases; the floor is 69.0%" in said.rpartition("FAIL. few: floor right:")[2]
    assert "The models are worse than the baseline (right)" in said
    page = (evaluated.folder / "var/live.html").read_text(encoding="utf-8")
    assert page.count(f"<h4>{escape("Baseline's answer")}</h4>") == CASES


def test_a_recording_replays_the_same_verdict_offline(
    evaluated: Shell, asked: tuple[CompletedProcess[str], CompletedProcess[str], str], no_network: tuple[str, ...]
) -> None:
    """Without the model and without a network: the same exit code, sentence and records, byte for byte."""
    _, recorded, records = asked

    replayed = replace(evaluated, prefix=no_network).try_run(".venv/bin/chassis", "evals", "run", "few-recorded")

    assert recorded.returncode == replayed.returncode == 1
    verdict = recorded.stdout.rpartition("FAIL.")[2]
    assert verdict
    assert replayed.stdout.rpartition("FAIL.")[2] == verdict
    assert lasting(evaluated.folder) == records
    assert len(records.splitlines()) == 2 * CASES
