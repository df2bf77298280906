"""The contract between a team's task and the chassis: what the task returns and what its caller gets."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, TypeAliasType, get_args

from pydantic import AliasChoices, BaseModel, RootModel
from pydantic.fields import FieldInfo

if TYPE_CHECKING:  # importing pydantic-ai takes a second, which `chassis --help` should not
    from pydantic_ai.models import Model

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None


@dataclass(frozen=True, slots=True)
class Draft[A]:
    """The result of a task or a baseline. The chassis decides whether it becomes the answer.

    Args:
        value: The proposed answer.
        confidence: The likelihood that it is right, from 0 (a guess) to 1 (certain).

    Raises:
        ValueError: `confidence` is not between 0 and 1.
    """

    value: A
    confidence: float

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence!r}; give a number from 0 to 1")
        # A library may return a number of its own type, which no database and no span can hold.
        object.__setattr__(self, "confidence", float(self.confidence))


class FallbackReason(StrEnum):
    """Why a fallback was needed instead of the model's answer."""

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
        answered_by: The model's name in `constraints.toml`, `"baseline"`, or `"task"` if no model was asked.
        confidence: The draft's confidence, from 0 to 1.
        degraded: Whether a fallback answered instead of the first model.
        fallback_reason: Why a fallback was needed, if one was.
    """

    value: A
    answered_by: str
    confidence: float
    degraded: bool
    fallback_reason: FallbackReason | None


@dataclass(frozen=True, slots=True)
class Referred:
    """A person will answer.

    Args:
        referral_id: The ticket. The answer will be at `GET /v1/referrals/{id}`.
        fallback_reason: Why a person has to answer.
        due_at: When the answer is due, UTC.
    """

    referral_id: str
    fallback_reason: FallbackReason
    due_at: datetime


type Outcome[A] = Answered[A] | Referred


type SensitiveKind = Literal["email", "phone", "card", "iban", "national_id", "ip", "secret", "name"]
"""Kinds of sensitive values. A `name` is found only by a recognizer of the task, because no pattern matches names."""


@dataclass(frozen=True, slots=True)
class SensitiveMatch:
    """A sensitive value, `text[start:end]`, and its kind."""

    kind: SensitiveKind
    start: int
    end: int


class Recognizer(Protocol):
    """Finds sensitive values that patterns cannot find, such as names.

    It is called with every text that may leave the process, so it has to be fast and must not use the network.
    """

    def __call__(self, text: str, /) -> Iterable[SensitiveMatch]:
        """Return the sensitive values in a text, in any order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task[Q: BaseModel, A: BaseModel]:
    """The task of a service.

    Args:
        name: The last part of its path, `POST /v1/{name}`: lower-case letters, digits and dashes.
        takes: The type of a question.
        gives: The type of an answer.
        run: Drafts an answer with a guarded model. It may use tools, loops and several requests.
        baseline: Drafts an answer without a model. It answers when no model can, and a model has to be better than it.
        recognizers: Find sensitive values that patterns cannot find, such as names.

    Raises:
        ValueError: `name` contains other characters, or a type cannot be written as JSON and read again.
        TypeError: A type is not a Pydantic model with fields.
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
        for role, kind in (("takes", self.takes), ("gives", self.gives)):
            _check_type(role, kind)


def models_in(kind: object) -> Iterator[type[BaseModel]]:
    """Yield the Pydantic models that a type consists of: itself, and those of its fields, at any depth."""
    seen: set[int] = set()
    waiting = [kind]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, TypeAliasType):
            waiting.append(part.__value__)
        elif isinstance(part, type) and issubclass(part, BaseModel):
            yield part
            waiting += (field.annotation for field in part.model_fields.values())
        waiting += get_args(part)


def _check_type(role: str, kind: object) -> None:
    """Check that what is stored of a value can be read again: reviews and evaluations do that."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)) or issubclass(kind, RootModel):
        raise TypeError(f"{role} is {kind!r}; give a pydantic.BaseModel with fields")
    for model in models_in(kind):
        for name, field in model.model_fields.items():
            where = f"{role}: {model.__name__}.{name}"
            if field.exclude and field.is_required():
                raise ValueError(f"{where} is left out of JSON but required; give it a default")
            if not _names_read(model, name, field) & {field.serialization_alias or name}:
                raise ValueError(f"{where} is written under a name that is not read; use the same alias for both")


def _names_read(model: type[BaseModel], name: str, field: FieldInfo) -> set[str]:
    """Return the names in JSON under which a field is accepted."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    return {choice for choice in choices if isinstance(choice, str)} | ({name} if by_name else set())
