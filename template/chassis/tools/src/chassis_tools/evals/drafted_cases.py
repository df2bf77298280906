"""Drafts synthetic cases from the passages of documents, for a person to edit."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue
from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError

from chassis.config.typed_values import read_typed, value_to_json
from chassis.contract import Task
from chassis.errors import ConfigError
from chassis.guard.model import GuardedModel
from chassis.guard.vendors import REQUIRED_VARIABLES
from chassis.search.passages import Passage
from chassis.wiring import Wiring
from chassis_tools.evals.cases import FOLDER, SYNTHETIC
from chassis_tools.evals.identity import json_hash
from chassis_tools.evals.new_cases import NewCase

CALLER = "cases-draft"
"""Whose budget pays for the questions that models write."""
PROMPT = (
    "Write one question that a user of a service could ask and that the passage answers. Do not copy its sentences. "
    "Do not mention the passage. Reply with the question alone, in the language of the passage."
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MAX_QUESTION_LENGTH = 500


def new_dataset(root: Path, name: str) -> Path:
    """Return the file of a data set that does not exist yet.

    Raises:
        ConfigError: The name is no file name, or the data set exists.
    """
    if not NAME.fullmatch(name):
        raise ConfigError("--to", f"{name!r} is not a name for a data set", "Use letters, digits, '-' and '_'")
    path = root / FOLDER / f"{name}.jsonl"
    if path.exists() or path.is_symlink():
        raise ConfigError("--to", f"{FOLDER}/{name}.jsonl exists", "Name a data set that does not exist yet")
    return path


def first_passages(passages: Iterable[Passage], limit: int) -> list[Passage]:
    """Return the first passage below each heading, as many as wanted: what comes before any heading is no answer."""
    by_heading: dict[tuple[str, tuple[str, ...]], Passage] = {}
    for passage in passages:
        if passage.headings and passage.text.strip():
            by_heading.setdefault((passage.document, passage.headings), passage)
    return list(by_heading.values())[:limit]


def question_from_headings(passage: Passage) -> str:
    """Return the heading of a passage if it is a question, or else all headings above it."""
    *above, last = passage.headings
    return last if last.endswith(("?", "\uff1f")) else ": ".join([*above[-1:], last])


async def ask_for_questions(wiring: Wiring, passages: Sequence[Passage]) -> list[str]:
    """Return a question for each passage, written by the models of the service and paid from its budget.

    Raises:
        CallError: A limit, a budget or the policy stops it.
        ConfigError: The service has no model that can be asked, or none of them writes a question.
    """
    if (guard := wiring.service.guard) is None:
        needed = dict.fromkeys(REQUIRED_VARIABLES[model.provider] for model in wiring.constraints.models)
        remedy = f"Set {' or '.join(needed)}" if needed else "Add a model to constraints.toml"
        raise ConfigError("--model", "no model can be asked here", f"{remedy}, or leave out --model")
    questions: list[str] = []
    for passage in passages:
        agent = Agent(GuardedModel(guard, wiring.service.new_call(CALLER)), instructions=PROMPT)
        try:
            reply = await agent.run(f"<passage>\n{passage.heading}\n{passage.text}\n</passage>")
        except AgentRunError as error:
            problem = f"a model wrote no question for {passage.document} ({type(error).__name__})"
            raise ConfigError("--model", problem, "Try again, or leave out --model") from error
        questions.append(" ".join(reply.output.split())[:MAX_QUESTION_LENGTH])
    return questions


def as_cases(
    passages: Sequence[Passage], questions: Sequence[str], origin: str, task: Task[Any, Any]
) -> tuple[list[NewCase], dict[str, str]]:
    """Return a case for each passage, marked as synthetic, and those that fit no case, each with the reason.

    Args:
        passages: What answers the questions.
        questions: One for each passage.
        origin: Who wrote them: `headings` or `model`.
        task: Its types are those of the cases.
    """
    cases: list[NewCase] = []
    refused: dict[str, str] = {}
    for passage, text in zip(passages, questions, strict=True):
        where = f"{passage.document}: {passage.heading}"
        try:
            question = value_to_json(read_typed(task.takes, text, where))
            answer = value_to_json(read_typed(task.gives, passage.text, where))
        except ConfigError as error:
            refused[where] = error.problem
            continue
        name = f"{Path(passage.document).stem}-{json_hash([question, answer])}"
        source = {SYNTHETIC: origin, "document": passage.document}
        new = NewCase(
            id=name,
            input=cast("JsonValue", question),
            expected=answer,
            tags=(SYNTHETIC,),
            group=passage.document,
            source=source,
        )
        cases.append(new)
    return cases, refused
