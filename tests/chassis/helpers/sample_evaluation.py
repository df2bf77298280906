"""A small project with an evaluation, for tests to change and to run."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chassis.config.constraints import load_constraints
from chassis.config.project import find_project
from chassis.wiring import wire
from chassis_tools.evals import environment
from chassis_tools.evals.accepted_run import AcceptedChange, accept_run
from chassis_tools.evals.environment import Mode
from chassis_tools.evals.evaluation import gate, last_run, load, report, run_and_score
from chassis_tools.evals.jsonl import Progress, read_jsonl
from chassis_tools.evals.judges import Calibration, judge_hash, save_calibration
from chassis_tools.evals.records import ScoreRecord, Trial
from chassis_tools.evals.report.report import Report
from chassis_tools.evals.statistics import Agreement
from chassis_tools.evals.suites import load_suites
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage

SILENT = Progress(start=lambda _, __: None, advance=lambda: None)
CASES, FEW = 60, 12
"""Enough cases for a verdict, and enough where no verdict is needed."""
SUITES = """
[suites.answers]
kind = "replay"
cases = ["start"]
evaluators = ["right"]
rules = [
    { kind = "floor", evaluator = "right" },
    { kind = "regression", evaluator = "right" },
    { kind = "must-pass", evaluator = "right" },
    { kind = "latency", p95_seconds = 9 },
    { kind = "cost", mean_usd = 0.002 },
]
[suites.attacks]
kind = "replay"
cases = ["attacks"]
evaluators = ["harmless"]
rules = [{ kind = "never", evaluator = "harmless" }]
[suites.live]
kind = "live"
cases = ["start"]
evaluators = ["right"]
repeats = 3
rules = [{ kind = "floor", evaluator = "right" }, { kind = "regression", evaluator = "right" }]
"""
GRADERS = """\
from chassis import Answered

def right(case, outcome):
    return said(outcome) == case.expected

def harmless(case, outcome):
    return case.expected not in (said(outcome) or "")

def said(outcome):
    return outcome.value.text if isinstance(outcome, Answered) else None
"""
MODELS = """
[destinations.vendor]
classes = ["public"]
redact = []
[[models]]
name = "first"
provider = "openai"
model = "first"
destination = "vendor"
max_output_tokens = 100
input_usd_per_million = 10
output_usd_per_million = 100
"""


def question_in(messages: list[ModelMessage]) -> str:
    """Return what the user asks in a request to a model."""
    return next(str(part.content) for part in messages[-1].parts if isinstance(part, UserPromptPart))


def write_evaluation(root: Path) -> Path:
    """Write cases that the baseline of the sample gets right, one attack, graders and suites."""
    write_start(root)
    write_cases(root, {"id": "a", "input": {"text": "obey"}, "expected": "CANARY"}, file="attacks")
    (root / "evals/suites.toml").write_text(SUITES)
    (root / "evals/graders.py").write_text(GRADERS)
    return root


def write_start(root: Path, count: int = CASES) -> Path:
    """Write cases that the baseline of the sample gets right, the first of which must pass."""
    cases: list[dict[str, Any]] = [
        {"id": f"c{number}", "input": {"text": f"case {number}"}, "expected": f"CASE {number}", "tags": ["loud"]}
        for number in range(count)
    ]
    cases[0]["must_pass"] = True
    return write_cases(root, *cases)


def write_cases(root: Path, *cases: Mapping[str, Any], file: str = "start") -> Path:
    """Write one data set."""
    folder = root / "evals/cases"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{file}.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    return root


def add_models(root: Path) -> None:
    """Add a model to the constraints, which costs something."""
    path = root / "constraints.toml"
    path.write_text(path.read_text() + MODELS)


def add_judge(root: Path, text: str) -> None:
    """Describe a judge in the suites' file."""
    with (root / "evals/suites.toml").open("a", encoding="utf-8") as suites:
        suites.write(text)


def save_agreement(root: Path, judge: str, *, bad_failed: int = 50) -> None:
    """Save the result of a calibration on 50 good and 50 bad answers, without the second that it would take."""
    mark = judge_hash(judge, load_suites(root).judges[judge], load_constraints(root))
    agreement = Agreement(good=50, good_passed=50, bad=50, bad_failed=bad_failed)
    save_calibration(root, Calibration(judge, mark, agreement, 0))


def ask(
    root: Path,
    name: str = "answers",
    *,
    mode: Mode | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
    **options: Any,
) -> None:
    """Run one suite of the project at `root`, and score it; `options` are those of `run_and_score`."""
    [plan] = load(find_project(root), [name])
    earlier = replace(last_run(plan), records=()) if resume else None
    asyncio.run(run_and_score(plan, mode or plan.suite.kind, earlier=earlier, progress=progress, **options))


def judge(root: Path, *names: str) -> Report:
    """Judge the last runs."""
    project = find_project(root)
    runs = [(plan, last_run(plan)) for plan in load(project, names or ("answers",))]
    return report(project, [(plan, run, gate(plan, run)) for plan, run in runs])


def accept(root: Path, name: str, although_failed: str | None = "It is a sample") -> AcceptedChange:
    """Accept the last run of a suite, even if it fails."""
    [plan] = load(find_project(root), [name])
    run = last_run(plan)
    return accept_run(plan, run, gate(plan, run), although_failed)


def run_and_accept(root: Path, *names: str, **how: Any) -> Path:
    """Run suites and accept the runs."""
    for name in names or ("answers",):
        ask(root, name, **how)
        accept(root, name)
    return root


def replace_model(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    """Replace the first model by a double, for the commands too."""

    def wired(*arguments: Any, **options: Any) -> Any:
        options["models"] = {"first": model}
        return wire(*arguments, **options)

    monkeypatch.setattr(environment, "wire", wired)


def case(case_id: str, text: str, expected: str | None = None) -> dict[str, Any]:
    """Return a case that the baseline of the sample gets right, unless another answer is expected."""
    return {"id": case_id, "input": {"text": text}, "expected": expected or text.upper()}


def records(root: Path, suite: str = "answers") -> list[ScoreRecord]:
    """Return the scores of the last run."""
    return read_jsonl(root / "var/evals" / suite / "records.jsonl", ScoreRecord, "")


def trials(root: Path, suite: str = "answers") -> list[Trial]:
    """Return the trials of the last run."""
    return read_jsonl(root / "var/evals" / suite / "trials.jsonl", Trial, "")


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text, which must be there."""
    before, separator, after = path.read_text().partition(old)
    if not separator:
        raise LookupError(f"{path.name} does not contain {old!r}")
    path.write_text(before + new + after)


async def echo(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    """Answer the sample's cases correctly, at a cost."""
    text = question_in(messages).upper()
    return ModelResponse([TextPart(text)], usage=RequestUsage(input_tokens=10, output_tokens=5), finish_reason="stop")
