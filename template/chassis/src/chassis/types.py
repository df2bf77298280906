"""The nouns of one call: what a task drafts and what its caller gets. Imports nothing of ours."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

type NanoUsd = int
"""Money in billionths of a US dollar: a token of a cheap model costs about 50, and integers add up exactly."""

NANO_PER_USD = 1_000_000_000

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None


def nano_usd(dollars: float) -> NanoUsd:
    """Return dollars as nano-USD, rounded to the nearest."""
    return round(dollars * NANO_PER_USD)


def in_usd(amount: NanoUsd) -> float:
    """Return an amount in dollars, for a metric or a JSON field; never to reckon with."""
    return amount / NANO_PER_USD


def show_usd(amount: NanoUsd) -> str:
    """Return an amount for people: `$0.000125`, `$12.50`; at least cents, at most a millionth of a dollar."""
    digits = f"{in_usd(amount):.6f}".rstrip("0")
    whole, _, fraction = digits.partition(".")
    return f"${whole}.{fraction.ljust(2, '0')}"


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


class Setback(StrEnum):
    """Why the model's draft could not simply be handed to the caller."""

    NO_MODEL = "no_model"
    MODELS_OFF = "models_off"
    LOW_CONFIDENCE = "low_confidence"
    MODELS_FAILED = "models_failed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    STORE_DOWN = "store_down"


@dataclass(frozen=True, slots=True)
class Answered[A]:
    """The caller gets an answer now.

    Args:
        value: The answer.
        answered_by: The model's name as in `constraints.toml`, `"baseline"`, or `"task"` if no model was asked.
        confidence: The draft's confidence, 0 to 1.
        degraded: True when a model was meant to answer first and something else did.
        setback: What went wrong on the way, if anything did.
    """

    value: A
    answered_by: str
    confidence: float
    degraded: bool
    setback: Setback | None


@dataclass(frozen=True, slots=True)
class Referred:
    """A person answers later.

    Args:
        referral_id: Where the answer will be found, `GET /v1/referrals/{id}`.
        setback: Why no machine answered.
        due_at: When a person is to have answered, UTC.
    """

    referral_id: str
    setback: Setback
    due_at: datetime


type Outcome[A] = Answered[A] | Referred


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request sent to one model, and what it cost.

    Args:
        model: The model's name as in `constraints.toml`.
        error: The name of the error that ended it, or None if it answered.
        input_tokens: Tokens read, 0 if unknown.
        output_tokens: Tokens written, reasoning included, 0 if unknown.
        cost: What is charged for it; the worst case when the true cost is unknown.
        seconds: How long it took.
        cached: True when the reply came from the cache and nothing was sent.
    """

    model: str
    error: str | None
    input_tokens: int
    output_tokens: int
    cost: NanoUsd
    seconds: float
    cached: bool = False
