"""What this service does: the types of a question and an answer, and the two functions that answer it."""

from collections.abc import Sequence
from typing import Annotated

import chassis.support
from chassis import Draft, Task
from chassis.search import Passage
from pydantic import BaseModel, ConfigDict, Field
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model

from . import prompts
from .search import load_search

PASSAGES_FOR_A_MODEL = 3
NOTHING_FOUND = "The documents say nothing about this."

SEARCH = load_search()
"""Built when the service starts: a document that cannot be read stops the start, not a call."""
VOCABULARY = frozenset(word for each in SEARCH.passages for word in chassis.support.words_of(each.text))


class Question(BaseModel):
    """What a caller asks."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S", examples=["What does status 401 mean?"])]
    """The question in plain words."""


class Source(BaseModel):
    """Where an answer comes from."""

    document: str
    """The file: `documents/…` is your own, `handbook/…` a page of the service's handbook."""
    heading: str
    """The headings above the passage, outermost first."""
    quote: str
    """The passage itself, so that a reader can check the answer."""


class Answer(BaseModel):
    """What a caller gets."""

    text: str
    """The answer in plain words."""
    sources: list[Source] = []
    """The passages it is based on, the most likely first."""

    def __str__(self) -> str:
        """Return the answer as a terminal shows it."""
        sources = (f"  {source.document}: {source.heading}".removesuffix(": ") for source in self.sources)
        return "\n".join([self.text, "", "Sources", *sources] if self.sources else [self.text])


async def answer(question: Question, model: Model) -> Draft[Answer]:
    """Let the model answer from the passages that match best.

    The confidence is that of the search, or less if the passages do not support the answer: what a model makes up
    does not count. Of a paraphrase and of an answer in another language that cannot be told.
    """
    hits = SEARCH.find(question.text, limit=PASSAGES_FOR_A_MODEL)
    if not hits:
        return Draft(Answer(text=NOTHING_FOUND), confidence=0)  # nothing to read, so no model needs to be paid
    passages = [hit.passage for hit in hits]
    prompt = prompts.user_prompt(question.text, passages)
    # Without tools there is nothing to repeat, so one request does what an agent would do.
    reply = await model_request(model, [ModelRequest.user_text_prompt(prompt, instructions=prompts.INSTRUCTIONS)])
    # A model that obeys an instruction in a document writes what no passage says; that is left out.
    given = [f"{passage.heading}\n{passage.text}" for passage in passages]
    support = chassis.support.check_support(reply.text or "", given, VOCABULARY, question.text)
    text = support.text or prompts.UNKNOWN
    if prompts.UNKNOWN in text:
        return Draft(Answer(text=NOTHING_FOUND), confidence=0)
    confidence = hits[0].confidence if support.share is None else min(hits[0].confidence, support.share)
    return Draft(Answer(text=text, sources=sources(passages)), confidence)


def baseline(question: Question) -> Draft[Answer]:
    """Answer without a model: quote the sentences of the best passage that cover most of the question."""
    hits = SEARCH.find(question.text, limit=1)
    if not hits:
        return Draft(Answer(text=NOTHING_FOUND), confidence=0)
    best = hits[0]
    text = SEARCH.excerpt(question.text, best.passage)
    return Draft(Answer(text=text, sources=sources([best.passage])), confidence=best.confidence)


def sources(passages: Sequence[Passage]) -> list[Source]:
    """Return the passages in the form in which an answer names them."""
    return [Source(document=passage.document, heading=passage.heading, quote=passage.text) for passage in passages]


TASK = Task(name="help", takes=Question, gives=Answer, run=answer, baseline=baseline)
