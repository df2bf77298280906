"""`chassis evals`: with the stub in place of the service, or with the whole service and the stub as its model."""

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
from chassis_tools.evals import running
from chassis_tools.evals.environment import EvalEnvironment, open_environment
from chassis_tools.evals.jsonl import Progress, read_jsonl
from chassis_tools.evals.records import RECORDS, ScoreRecord
from chassis_tools.evals.running import Order, run_suite
from chassis_tools.evals.suites import load_suites
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from benchmarks.evaluation.contest import answer, compete, questions
from benchmarks.evaluation.project import Text, write_project

SILENT = Progress(begin=lambda _, __: None, step=lambda: None)


class Stub(Service[Text, Text]):
    """What is asked instead of the service, to see what the runner alone takes."""

    async def answer(self, question: Text, call: Call) -> Answered[Text]:
        """Return what the stub says."""
        del call
        return Answered(Text(text=await answer(question.text)), "stub", 1.0, degraded=False, fallback_reason=None)


@asynccontextmanager
async def stage_without_service(*arguments: Any, **options: Any) -> AsyncGenerator[EvalEnvironment]:
    """Put the stub where the service stands, and ask no baseline besides: nobody else does."""
    async with open_environment(*arguments, **options) as staged:
        real = staged.service
        stub = Stub(real.task, real.constraints, real.guard, real.review_queue, real.call_log)
        yield replace(staged, service=stub, baseline=None)


async def say(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    """Answer as a model."""
    [asked] = [part.content for part in messages[-1].parts if isinstance(part, UserPromptPart)]
    usage = RequestUsage(input_tokens=10, output_tokens=10)
    return ModelResponse([TextPart(await answer(str(asked)))], usage=usage, finish_reason="stop")


async def evaluate() -> list[float]:
    """Run a suite as `chassis evals run` does, its files included."""
    with TemporaryDirectory() as folder:
        project = find_project(write_project(Path(folder), questions()))
        suite = load_suites(project.root).suites["live"]
        models: Mapping[str, Model] = {"stub": FunctionModel(say)}
        order = Order(project, "live", suite, "live", models=models)
        await run_suite(order, SILENT)
        records = read_jsonl(order.folder / RECORDS, ScoreRecord, "")
    mine = [record for record in records if record.variant == "service" and record.evaluator == "same"]
    assert all(record.value == 1 for record in records if record.variant == "service")
    return [record.seconds for record in mine]


if __name__ == "__main__":
    configure_logs(production=True, stream=StringIO())
    if "--runner-alone" in sys.argv:
        running.open_environment = stage_without_service
    compete(evaluate)
