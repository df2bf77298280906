"""Writes a small project with one live suite, for the benchmarks to run and to judge."""

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis import Draft, Task
from pydantic import BaseModel
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model

TESTS = Path(__file__).parents[2] / "tests/chassis/helpers"
SUITES = """
[suites.live]
kind = "live"
cases = ["all"]
evaluators = ["same", "short", "loud"]
max_concurrency = 50
rules = [{ kind = "floor", evaluator = "same" }, { kind = "regression", evaluator = "same" }, { kind = "latency" }]
"""
GRADERS = """
from chassis import Answered

def said(outcome):
    return outcome.value.text if isinstance(outcome, Answered) else ""

def same(case, outcome):
    return said(outcome) == case.expected

def short(case, outcome):
    return len(said(outcome)) < 100

def loud(case, outcome):
    return said(outcome).isupper()
"""
MODELS = """
[destinations.here]
classes = ["public"]
redact = []
[[models]]
name = "stub"
provider = "openai"
model = "stub"
destination = "here"
max_output_tokens = 100
input_usd_per_million = 1
output_usd_per_million = 1
"""


class Text(BaseModel):
    """A question, and its answer."""

    text: str


async def pass_on(question: Text, model: Model) -> Draft[Text]:
    """Ask the model once and return its answer."""
    return Draft(Text(text=str((await model_request(model, [ModelRequest.user_text_prompt(question.text)])).text)), 1)


def no_answer(_: Text) -> Draft[Text]:
    """Return an empty answer without any confidence."""
    return Draft(Text(text=""), confidence=0)


TASK = Task(name="bench", takes=Text, gives=Text, run=pass_on, baseline=no_answer)


def write_project(root: Path, questions: Sequence[str]) -> Path:
    """Write a project whose cases are these questions."""
    sys.path.append(str(TESTS))  # its helpers write a repository
    importlib.import_module("sample_repository").write_repository(root)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "bench"\n[tool.chassis]\ntask = "benchmarks.evaluation.project:TASK"\n'
    )
    constraints = root / "constraints.toml"
    roomy = constraints.read_text().replace("deadline_seconds = 10", "deadline_seconds = 60")
    for period in ("request", "caller_day", "day", "month"):
        roomy = roomy.replace(f"per_{period}_usd = 1", f"per_{period}_usd = 100")
    constraints.write_text(roomy + MODELS)
    (root / "evals/cases").mkdir(parents=True)
    cases = [{"id": text, "input": {"text": text}, "expected": text.upper(), "tags": ["a", "b"]} for text in questions]
    (root / "evals/cases/all.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (root / "evals/suites.toml").write_text(SUITES)
    (root / "evals/graders.py").write_text(GRADERS)
    return root
