"""A sample task: it repeats what the model says, and its baseline repeats the question in capitals."""

from chassis import Draft, Task
from pydantic import BaseModel, ConfigDict, Field
from pydantic_ai import Agent
from pydantic_ai.models import Model


class Question(BaseModel):
    """The input of the sample task."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=500)


class Answer(BaseModel):
    """The output of the sample task."""

    text: str


async def say(question: Question, model: Model) -> Draft[Answer]:
    """Repeat the model's reply. If it starts with a question mark, the confidence is low."""
    reply = await Agent(model, instructions="Answer in one sentence.").run(question.text)
    return Draft(Answer(text=reply.output), confidence=0.1 if reply.output.startswith("?") else 0.9)


def shout(question: Question) -> Draft[Answer]:
    """Repeat the question in capitals. If it asks why, the confidence is low."""
    return Draft(Answer(text=question.text.upper()), confidence=0.1 if "why" in question.text.lower() else 0.8)


TASK = Task(name="echo", takes=Question, gives=Answer, run=say, baseline=shout)
