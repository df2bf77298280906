"""One call from beginning to end: who asks, how long it may take, and every model request that it made."""

import secrets
import time
from dataclasses import dataclass, field, replace

from chassis.errors import DeadlineExceeded, TooManyModelRequests
from chassis.privacy.placeholders import Placeholders
from chassis.usd import NanoUsd


def new_call_id() -> str:
    """Return a unique id: `c_` and 24 hexadecimal digits."""
    return "c_" + secrets.token_hex(12)


@dataclass(slots=True)
class Deadline:
    """The moment by which the whole call must be over. Every wait within the call is limited by it.

    Args:
        at: The moment, in seconds of the monotonic clock.
        reserve: Seconds before it that models may not use, so that the baseline or the review queue still can.
    """

    at: float
    reserve: float

    @classmethod
    def after(cls, seconds: float, since: float | None = None) -> "Deadline":
        """Return the deadline `seconds` after now, or after `since`; the reserve is a tenth of it, at most a second."""
        # Monotonic, because a clock that is set back while a call runs would give it more time.
        start = time.monotonic() if since is None else since
        return cls(start + seconds, reserve=min(1.0, seconds / 10))

    def remaining(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    def for_review(self) -> float:
        """Return the seconds within which a question must be in the review queue: what is left and half the reserve.

        That can be after the deadline: a referral that is a little late is better than a question that is lost.
        """
        return self.remaining() + self.reserve / 2

    def for_models(self) -> float:
        """Return the seconds that models may still use.

        Raises:
            DeadlineExceeded: There are none.
        """
        seconds = self.remaining() - self.reserve
        if seconds <= 0:
            raise DeadlineExceeded("The time for this call is used up")
        return seconds


@dataclass(slots=True)
class TimeBudget:
    """How long one model of the chain may take: an equal part of the time that is left for models.

    It is computed anew each time: what one model leaves unused goes to those after it.

    Args:
        deadline: The call's.
        models_left: How many models, including this one, have yet to be asked.
    """

    deadline: Deadline
    models_left: int

    def seconds(self) -> float:
        """Return the seconds that the model may use from now on.

        Raises:
            DeadlineExceeded: There are none.
        """
        # Divided anew at each step: a model that fails at once leaves its share to the others.
        return self.deadline.for_models() / self.models_left


@dataclass(slots=True)
class Attempt:
    """One request sent to one model, and what it cost.

    Args:
        model: The model's name as in `constraints.toml`.
        error: The name of the error that ended it, or None if it succeeded.
        input_tokens: Tokens read, 0 if unknown.
        output_tokens: Tokens written including reasoning, 0 if unknown.
        cost: What is charged for it: the worst case if the real cost is unknown.
        seconds: How long it took.
        cached: Whether the reply came from the cache, so that nothing was sent.
        served: The id of the model that replied, according to its vendor: as it was asked for, in the catalog, or
            `other`.
    """

    model: str
    error: str | None
    input_tokens: int
    output_tokens: int
    cost: NanoUsd
    seconds: float
    cached: bool = False
    served: str | None = None


@dataclass(slots=True)
class Call:
    """One question of one caller.

    Args:
        id: A unique id that is on every log line and span of the call.
        caller: Who asks, by the name of their API key.
        deadline: By when the call must be over.
        max_model_requests: How many model requests the task may make.
        turns: The model requests so far, oldest first.
        placeholders: What the redacted values of this call were replaced by.
    """

    id: str
    caller: str
    deadline: Deadline
    max_model_requests: int
    turns: "list[Turn]" = field(default_factory=list)
    placeholders: Placeholders = field(default_factory=Placeholders)

    def new_turn(self) -> "Turn":
        """Begin the next model request.

        Raises:
            TooManyModelRequests: The task has made `max_model_requests` already.
        """
        if len(self.turns) >= self.max_model_requests:
            raise TooManyModelRequests(f"The task made {self.max_model_requests} model requests, which is the limit")
        turn = Turn(self)
        self.turns.append(turn)
        return turn

    @property
    def attempts(self) -> list[Attempt]:
        """Return the attempts of all turns, oldest first."""
        return [attempt for turn in self.turns for attempt in turn.attempts]

    @property
    def answerer(self) -> str | None:
        """Return the name of the model that gave the latest usable reply, or None if there was none."""
        return next((attempt.model for attempt in reversed(self.attempts) if attempt.error is None), None)

    @property
    def cost(self) -> NanoUsd:
        """Return what the call has cost so far."""
        return sum(turn.cost for turn in self.turns)

    @property
    def committed_cost(self) -> NanoUsd:
        """Return what the call has cost so far, together with what is reserved for requests in progress."""
        # A task may ask models concurrently, so what is not yet settled has to count against the limit of the request
        # too.
        return self.cost + sum(turn.reserved for turn in self.turns)


@dataclass(slots=True)
class Turn:
    """One model request of a call, with all attempts that were made for it. Money is reserved and settled per turn.

    Args:
        call: The call that it belongs to.
        max_input_tokens: The most tokens that any model can read from the request; 0 until money is reserved for it.
        reserved: What is reserved for it now; 0 before and after.
        unaffordable: The names of the models that are left out because the budgets do not cover them.
        attempts: What was sent, oldest first.
        reply_key: The key under which the reply is cached, if the cache is on.
        reply: What the latest model replied, still redacted; only in development.
    """

    call: Call
    max_input_tokens: int = 0
    reserved: NanoUsd = 0
    unaffordable: frozenset[str] = frozenset()
    attempts: list[Attempt] = field(default_factory=list)
    reply_key: str | None = None
    reply: str | None = None

    @property
    def cost(self) -> NanoUsd:
        """Return what the turn has cost so far."""
        return sum(attempt.cost for attempt in self.attempts)

    def mark_unusable(self, error: str) -> None:
        """Note on each attempt that its reply, although it passed all checks, was of no use to the task."""
        self.attempts[:] = [replace(attempt, error=attempt.error or error) for attempt in self.attempts]
