"""What this service does: the types of a question and an answer, and the two ways from one to the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from chassis import Draft, Task
from pydantic import BaseModel, ConfigDict, Field
from pydantic_ai import Agent
from pydantic_ai.models import Model

from . import prompts
from .documents import Passage, read_folder
from .search import Search

PASSAGES_FOR_A_MODEL = 3
NOTHING_FOUND = "The documents say nothing about this."

SEARCH = Search(read_folder(Path(__file__).parents[2] / "documents"))
"""Made when the service starts, so that a document that cannot be read stops the start, not a caller."""

type Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]


class Question(BaseModel):
    """What a caller asks."""

    model_config = ConfigDict(extra="forbid")

    text: Text
    """The question in plain words."""


class Source(BaseModel):
    """Where an answer comes from."""

    document: str
    """The file in `documents/`."""
    heading: str
    """The headings above the passage, the outermost first."""
    quote: str
    """The passage itself, so that a reader can check the answer."""


class Answer(BaseModel):
    """What a caller gets."""

    text: str
    """The answer in plain words."""
    sources: list[Source] = []
    """What it rests on, the most convincing first."""

    def __str__(self) -> str:
        """Return the answer as a terminal shows it."""
        sources = (f"  {source.document}: {source.heading}".removesuffix(": ") for source in self.sources)
        return "\n".join([self.text, "", "Sources", *sources] if self.sources else [self.text])


async def answer(question: Question, model: Model) -> Draft[Answer]:
    """Let the model answer from the passages that fit best.

    It can be no surer than the search that found them, nor than its words are found in them: what it made up is not.
    """
    found = SEARCH.find(question.text, limit=PASSAGES_FOR_A_MODEL)
    if not found:
        return Draft(Answer(text=NOTHING_FOUND), confidence=0)  # no model need be paid to read nothing
    passages = [each.passage for each in found]
    result = await Agent(model, instructions=prompts.INSTRUCTIONS).run(prompts.request(question.text, passages))
    if prompts.UNKNOWN in result.output:
        return Draft(Answer(text=NOTHING_FOUND), confidence=0)
    confidence = min(found[0].confidence, SEARCH.support(result.output, passages))
    return Draft(Answer(text=result.output, sources=sources(passages)), confidence)


def baseline(question: Question) -> Draft[Answer]:
    """Answer without a model: quote the sentences of the best passage that say most of what is asked."""
    found = SEARCH.find(question.text, limit=1)
    if not found:
        return Draft(Answer(text=NOTHING_FOUND), confidence=0)
    best = found[0]
    text = SEARCH.excerpt(question.text, best.passage)
    return Draft(Answer(text=text, sources=sources([best.passage])), confidence=best.confidence)


def sources(passages: Sequence[Passage]) -> list[Source]:
    """Return the passages as an answer names them."""
    return [Source(document=each.document, heading=each.heading, quote=each.text) for each in passages]


TASK = Task(name="help", takes=Question, gives=Answer, run=answer, baseline=baseline)
