"""A task with no purpose but to be carried: it says what the model says, and its baseline shouts."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic_ai import Agent
from pydantic_ai.models import Model

from chassis import Draft, Task


class Question(BaseModel):
    """What the sample is asked."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=500)


class Answer(BaseModel):
    """What the sample answers."""

    text: str


async def say(question: Question, model: Model) -> Draft[Answer]:
    """Say what the model says; a reply that begins with a question mark is an unsure one."""
    reply = await Agent(model, instructions="Answer in one sentence.").run(question.text)
    return Draft(Answer(text=reply.output), confidence=0.1 if reply.output.startswith("?") else 0.9)


def shout(question: Question) -> Draft[Answer]:
    """Repeat the question loudly; be unsure of anything that asks why."""
    return Draft(Answer(text=question.text.upper()), confidence=0.1 if "why" in question.text.lower() else 0.8)


TASK = Task(name="echo", takes=Question, gives=Answer, run=say, baseline=shout)
