"""The contract with the team: two types, one function that may ask a model, one that may not."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from chassis.sensitive import Recogniser
from chassis.types import Draft

if TYPE_CHECKING:  # importing pydantic-ai takes a second that `chassis --help` need not pay
    from pydantic_ai.models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Task[Q: BaseModel, A: BaseModel]:
    """What this service does.

    Args:
        name: The last part of its address, `POST /v1/{name}`: lower-case letters, digits and dashes.
        takes: The type of a question.
        gives: The type of an answer.
        run: Drafts an answer with a guarded model; loops, tools and several requests are all allowed.
        baseline: Drafts an answer without any model. It answers when no model can, and is what a model must beat.
        recognisers: Find what no pattern can, such as names, wherever `constraints.toml` says to refuse or redact them.

    Raises:
        ValueError: `name` could not be part of an address.
    """

    name: str
    takes: type[Q]
    gives: type[A]
    run: "Callable[[Q, Model], Awaitable[Draft[A]]]"
    baseline: Callable[[Q], Draft[A]]
    recognisers: tuple[Recogniser, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.name):
            raise ValueError(f"task name {self.name!r}; use lower-case letters, digits and dashes, such as 'help'")
