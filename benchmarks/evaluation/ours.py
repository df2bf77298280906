"""`chassis evals` as a contestant: with a stub in place of the service, or of its model."""

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chassis.call import Call
from chassis.config.project import find_project
from chassis.contract import Answered
from chassis.service import Service
from chassis.telemetry.logs import configure_logs
from chassis_tools.evals import environment
from chassis_tools.evals.environment import EvalEnvironment, open_environment
from chassis_tools.evals.evaluation import load, run_and_score
from chassis_tools.evals.jsonl import Progress
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from benchmarks.evaluation.contest import answer, compete, questions
from benchmarks.evaluation.project import Text, write_project

SILENT = Progress(start=lambda _, __: None, advance=lambda: None)


class Stub(Service[Text, Text]):
    """Stands in for the service, to measure the runner alone."""

    async def answer(self, question: Text, call: Call) -> Answered[Text]:
        """Return the answer of the stub."""
        del call
        return Answered(Text(text=await answer(question.text)), "stub", 1.0, degraded=False, fallback_reason=None)


@asynccontextmanager
async def open_stub_environment(*arguments: Any, **options: Any) -> AsyncGenerator[EvalEnvironment]:
    """Put the stub in place of the service, and ask no baseline, because no other contestant does."""
    async with open_environment(*arguments, **options) as opened:
        real = opened.service
        stub = Stub(real.task, real.constraints, real.guard, real.review_queue, real.call_log)
        yield replace(opened, service=stub, baseline=None)


async def say(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    """Answer as a model."""
    [asked] = [part.content for part in messages[-1].parts if isinstance(part, UserPromptPart)]
    usage = RequestUsage(input_tokens=10, output_tokens=10)
    return ModelResponse([TextPart(await answer(str(asked)))], usage=usage, finish_reason="stop")


async def evaluate() -> list[float]:
    """Run a suite as `chassis evals run` does, its files included."""
    with TemporaryDirectory() as folder:
        project = find_project(write_project(Path(folder), questions()))
        [plan] = load(project, ["live"])
        models: Mapping[str, Model] = {"stub": FunctionModel(say)}
        run = await run_and_score(plan, "live", progress=SILENT, models=models)
    records = [record for record in run.records if record.variant == "service"]
    assert all(record.value == 1 for record in records)
    return [record.seconds for record in records if record.evaluator == "same"]


if __name__ == "__main__":
    configure_logs(production=True, stream=StringIO())
    if "--runner-alone" in sys.argv:
        environment.open_environment = open_stub_environment
    compete(evaluate)
