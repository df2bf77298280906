"""The pipeline: every step that a model request passes on its way to a vendor, in order."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from pydantic_ai.models.fallback import FallbackModel

from chassis.call import TimeBudget, Turn
from chassis.config.constraints import Constraints
from chassis.contract import Recognizer, SensitiveKind
from chassis.guard.candidate import Candidate, DescribeOnlyModel
from chassis.guard.circuit_breaker import CheckCircuitBreakers
from chassis.guard.concurrency import LimitConcurrency
from chassis.guard.fallback import Fallback
from chassis.guard.kill_switch import CheckKillSwitch
from chassis.guard.meter import Meter
from chassis.guard.redact import Redact
from chassis.guard.reply_cache import CachedReply, SingleFlight, UseReplyCache
from chassis.guard.request import Step
from chassis.guard.reservation import ReserveBudget
from chassis.guard.retry import Retry
from chassis.guard.timeout import EnforceTimeout
from chassis.money.ledger import Ledger
from chassis.privacy.finder import Finder
from chassis.privacy.policy import check_destination
from chassis.store.kill_switch import KillSwitch
from chassis.store.reply_cache import ReplyCache
from chassis.telemetry.instruments import Instruments


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What all calls of a process share on their way to the models.

    Args:
        candidates: The chain: the models that can be asked, in order; at least one.
        constraints: The budget limits, and the rules of the destinations.
        ledger: Where money is reserved.
        reply_cache: The cache in the database.
        kill_switch: Whether models may be asked.
        instruments: What model requests are recorded with.
        recognizers: The task's own, for what no pattern can find.
        in_flight: The requests that this process is sending.

    Raises:
        ConfigError: The destination of a model does not allow the class of the data.
    """

    candidates: tuple[Candidate, ...]
    constraints: Constraints
    ledger: Ledger
    reply_cache: ReplyCache
    kill_switch: KillSwitch
    instruments: Instruments
    recognizers: tuple[Recognizer, ...] = ()
    in_flight: SingleFlight[CachedReply] = field(default_factory=SingleFlight[CachedReply])

    def __post_init__(self) -> None:
        for candidate in self.candidates:
            check_destination(candidate.config, self.constraints)

    def after(self, model: str) -> "Guard | None":
        """Return a guard with the models that come after this one in the chain, or None if it is the last."""
        position = [candidate.config.name for candidate in self.candidates].index(model)
        rest = self.candidates[position + 1 :]
        return replace(self, candidates=rest) if rest else None

    @cached_property
    def finder(self) -> Finder:
        """Return a finder of all that any destination of the chain wants redacted.

        A request is redacted once, before it is known which of the models will be asked.
        """
        destinations = (self.constraints.destinations[candidate.config.destination] for candidate in self.candidates)
        kinds = frozenset[SensitiveKind]().union(*(destination.redact for destination in destinations))
        return Finder(kinds, self.recognizers)

    @cached_property
    def described_chain(self) -> FallbackModel:
        """Return the models of the chain as pydantic-ai sees them, which cannot be asked."""
        return FallbackModel(*(DescribeOnlyModel(candidate.model) for candidate in self.candidates))

    @cached_property
    def models(self) -> frozenset[str]:
        """Return the names of the models of the chain."""
        return frozenset(candidate.config.name for candidate in self.candidates)

    @cached_property
    def chain_id(self) -> str:
        """Return a text that identifies the models of the chain, and whatever else of them influences a reply."""
        configs = (candidate.config for candidate in self.candidates)
        return ",".join(f"{it.destination}/{it.model}@{it.base_url}#{it.max_output_tokens}" for it in configs)


def pipeline(guard: Guard, turn: Turn) -> Step:
    """Return the steps of one model request, outermost first.

    The order matters: nothing is cached, priced or sent before it is redacted; a cached reply reserves no money; the
    money for the whole chain is reserved before its first model is asked.
    """
    return nested(
        partial(CheckKillSwitch, kill_switch=guard.kill_switch),
        partial(Redact, finder=guard.finder, turn=turn),
        partial(
            UseReplyCache,
            cache=guard.reply_cache,
            in_flight=guard.in_flight,
            chain_id=guard.chain_id,
            models=guard.models,
            turn=turn,
        ),
        partial(
            ReserveBudget, candidates=guard.candidates, constraints=guard.constraints, ledger=guard.ledger, turn=turn
        ),
        innermost=Fallback(guard.candidates, turn, partial(candidate_pipeline, guard, turn)),
    )


def candidate_pipeline(guard: Guard, turn: Turn, candidate: Candidate, time_budget: TimeBudget) -> Step:
    """Return the steps between `Fallback` and one model, outermost first.

    The order matters here too: a request that waits for a slot does not count against the circuit breaker; a timeout
    does; each retry is metered, and none is sent once the models are switched off.
    """
    return nested(
        partial(LimitConcurrency, limit=candidate.concurrency, time_budget=time_budget, model=candidate.config.name),
        partial(CheckCircuitBreakers, model=candidate.breaker, host=candidate.host_breaker, caller=turn.call.caller),
        partial(Retry, retries=candidate.retries, time_budget=time_budget),
        partial(CheckKillSwitch, kill_switch=guard.kill_switch),
        partial(Meter, candidate=candidate, turn=turn, instruments=guard.instruments),
        innermost=EnforceTimeout(candidate.model, time_budget),
    )


def nested(*steps: Callable[[Step], Step], innermost: Step) -> Step:
    """Return the steps as one, each around the next, as Starlette builds its middleware stack."""
    step = innermost
    for around in reversed(steps):
        step = around(step)
    return step
