"""Prints how many functions of the runtime lie between `Service.answer` and the model, in a call with one request.

It measures the `chassis` that Python finds first, so that `PYTHONPATH` can name an older one.
"""

import asyncio
import inspect
import tempfile
from pathlib import Path
from typing import Any

import chassis
import structlog
from chassis import Draft, Task, testing
from chassis.call import Call, Deadline
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.usage import RequestUsage

SOURCE = f"{Path(chassis.__file__).parent}/"
ScriptedModel: Any = getattr(testing, "ScriptedModel", None) or vars(testing)["Scripted"]


class Text(BaseModel):
    """The question, and the answer."""

    text: str


def frames() -> int:
    """Return how many functions of the runtime have called the present one, `Service.answer` being the outermost."""
    frame, count = inspect.currentframe(), 0
    while frame is not None:
        code = frame.f_code
        count += code.co_filename.startswith(SOURCE) and code.co_filename != testing.__file__
        frame = None if code.co_qualname == "Service.answer" else frame.f_back
    return count


async def measure(folder: Path) -> int:
    """Ask a service in an empty folder, and return the frames above the team's function and above the model.

    pydantic-ai runs a model request in a task of its own, so each half has a stack of its own.
    """
    counts: list[int] = []

    async def reply(*_: object) -> ModelResponse:
        counts.append(frames())
        return ModelResponse([TextPart("yes")], usage=RequestUsage(input_tokens=1, output_tokens=1))

    async def answer(question: Text, model: Model) -> Draft[Text]:
        counts.append(frames())
        return Draft(Text(text=(await Agent(model).run(question.text)).output), confidence=1)

    def baseline(question: Text) -> Draft[Text]:
        return Draft(question, confidence=0)

    task = Task(name="measured", takes=Text, gives=Text, run=answer, baseline=baseline)
    async with testing.wire_for_tests(task, folder, ScriptedModel(reply)) as wiring:
        await wiring.service.answer(Text(text="Is it?"), Call("c_1", "anyone", Deadline.after(5), 3))
    return sum(counts)


if __name__ == "__main__":
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    with tempfile.TemporaryDirectory() as temporary:
        print(asyncio.run(measure(Path(temporary))))
