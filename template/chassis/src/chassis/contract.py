"""The nouns of one call: what a task drafts and what its caller gets. Imports nothing of ours."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel

if TYPE_CHECKING:  # importing pydantic-ai takes a second that `chassis --help` need not pay
    from pydantic_ai.models import Model

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None


@dataclass(frozen=True, slots=True)
class Draft[A]:
    """What a task or a baseline proposes, before the chassis decides whether a caller may see it.

    Args:
        value: The answer itself.
        confidence: How sure the author is, from 0 (a guess) to 1 (certain).

    Raises:
        ValueError: `confidence` lies outside 0 to 1.
    """

    value: A
    confidence: float

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence!r}; give a number from 0 to 1")


class FallbackReason(StrEnum):
    """Why the model's draft could not simply be handed to the caller."""

    NO_MODEL = "no_model"
    MODELS_OFF = "models_off"
    LOW_CONFIDENCE = "low_confidence"
    MODELS_FAILED = "models_failed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    DATABASE_DOWN = "database_down"


@dataclass(frozen=True, slots=True)
class Answered[A]:
    """The caller gets an answer now.

    Args:
        value: The answer.
        answered_by: The model's name as in `constraints.toml`, `"baseline"`, or `"task"` if no model was asked.
        confidence: The draft's confidence, 0 to 1.
        degraded: True when a model was meant to answer first and something else did.
        fallback_reason: What went wrong on the way, if anything did.
    """

    value: A
    answered_by: str
    confidence: float
    degraded: bool
    fallback_reason: FallbackReason | None


@dataclass(frozen=True, slots=True)
class Referred:
    """A person answers later.

    Args:
        referral_id: Where the answer will be found, `GET /v1/referrals/{id}`.
        fallback_reason: Why no machine answered.
        due_at: When a person is to have answered, UTC.
    """

    referral_id: str
    fallback_reason: FallbackReason
    due_at: datetime


type Outcome[A] = Answered[A] | Referred


type SensitiveKind = Literal["email", "phone", "card", "iban", "national_id", "ip", "secret", "name"]
"""`name` is found only if the task brings a recognizer: no pattern knows a name."""


@dataclass(frozen=True, slots=True)
class SensitiveMatch:
    """A sensitive value: what it is, and where it stands in the text, `text[start:end]`."""

    kind: SensitiveKind
    start: int
    end: int


class Recognizer(Protocol):
    """Finds what patterns cannot, such as names: any callable from a text to what it found there.

    It is asked for every text that might leave, so it must be quick, and must work without the network.
    """

    def __call__(self, text: str, /) -> Iterable[SensitiveMatch]:
        """Return the sensitive values in `text`, in any order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task[Q: BaseModel, A: BaseModel]:
    """What this service does.

    Args:
        name: The last part of its address, `POST /v1/{name}`: lower-case letters, digits and dashes.
        takes: The type of a question.
        gives: The type of an answer.
        run: Drafts an answer with a guarded model; loops, tools and several requests are all allowed.
        baseline: Drafts an answer without any model. It answers when no model can, and is what a model must beat.
        recognizers: Find what no pattern can, such as names, wherever `constraints.toml` says to refuse or redact them.

    Raises:
        ValueError: `name` could not be part of an address.
    """

    name: str
    takes: type[Q]
    gives: type[A]
    run: "Callable[[Q, Model], Awaitable[Draft[A]]]"
    baseline: Callable[[Q], Draft[A]]
    recognizers: tuple[Recognizer, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.name):
            raise ValueError(f"task name {self.name!r}; use lower-case letters, digits and dashes, such as 'help'")
