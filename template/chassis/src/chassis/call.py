"""One call from its first to its last moment: who asks, how long it may take, what was tried."""

import secrets
import time
from dataclasses import dataclass, field, replace

from chassis.errors import DeadlineExceeded, TooManyModelRequests
from chassis.privacy.placeholders import Placeholders
from chassis.usd import NanoUsd


def new_call_id() -> str:
    """Return a name for a call that no other has."""
    return "c_" + secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which the whole call must be over; every wait draws from it.

    Args:
        at: On the monotonic clock, in seconds.
        reserve: Seconds at the end that models may not use, so that the baseline or the desk still can.
    """

    at: float
    reserve: float

    @classmethod
    def after(cls, seconds: float, since: float | None = None) -> "Deadline":
        """Return the deadline `seconds` from now or `since`, a tenth of it (at most a second) reserved."""
        begun = time.monotonic() if since is None else since
        return cls(begun + seconds, reserve=min(1.0, seconds / 10))

    def remaining(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    def for_review(self) -> float:
        """Return the seconds that laying a question on the desk may take: what is left, and half the reserve over it.

        A question that reaches a person a twentieth of its time late is better than one that reaches nobody.
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


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """What one model may use of the time that is left for models.

    Args:
        deadline: The call's.
        sharers: How many models of the chain, this one included, are still to be asked.
    """

    deadline: Deadline
    models_left: int

    def seconds(self) -> float:
        """Return the seconds that the model may use from now on.

        Raises:
            DeadlineExceeded: There are none.
        """
        return self.deadline.for_models() / self.models_left


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


@dataclass(slots=True)
class Call:
    """One caller's question on its way.

    Args:
        id: Unique; on every log line and span of the call.
        caller: Who asks, as their API key says.
        deadline: When the call must be over.
        max_turns: How many model requests the task may make.
    """

    id: str
    caller: str
    deadline: Deadline
    max_model_requests: int
    turns: "list[Turn]" = field(default_factory=list)
    placeholders: Placeholders = field(default_factory=Placeholders)

    def turn(self) -> "Turn":
        """Begin the next model request.

        Raises:
            TooManyModelRequests: The task has used up `max_turns`.
        """
        if len(self.turns) >= self.max_model_requests:
            raise TooManyModelRequests(f"The task asked a model {self.max_model_requests} times, which is the limit")
        self.turns.append(Turn(self))
        return self.turns[-1]

    @property
    def attempts(self) -> list[Attempt]:
        """Return what was sent to models so far, oldest first."""
        return [attempt for turn in self.turns for attempt in turn.attempts]

    @property
    def answerer(self) -> str | None:
        """Return the model that gave the last reply which was of use, if any did."""
        return next((attempt.model for attempt in reversed(self.attempts) if attempt.error is None), None)

    @property
    def cost(self) -> NanoUsd:
        """Return what the call has cost so far."""
        return sum(turn.cost for turn in self.turns)

    @property
    def committed_cost(self) -> NanoUsd:
        """Return what the call has cost so far, and what is set aside for its open turns."""
        return self.cost + sum(turn.reserved for turn in self.turns)


@dataclass(slots=True)
class Turn:
    """One model request of a call, with every model that was tried for it. Money is settled per turn.

    Args:
        call: The call it belongs to.
        input_bound: No model can read more tokens than this from the request; 0 until the request is priced.
        held: What is set aside for this turn at the moment.
        shortened: The budgets could not bear the whole chain.
        attempts: What was sent, oldest first.
        reply_key: Where the cache keeps the reply, if it does.
    """

    call: Call
    max_input_tokens: int = 0
    reserved: NanoUsd = 0
    budget_limited: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    reply_key: str | None = None

    @property
    def cost(self) -> NanoUsd:
        """Return what this turn has cost so far."""
        return sum(attempt.cost for attempt in self.attempts)

    def mark_unusable(self, error: str) -> None:
        """Note that the reply, which looked well, was of no use to the task."""
        self.attempts[:] = [replace(attempt, error=attempt.error or error) for attempt in self.attempts]
