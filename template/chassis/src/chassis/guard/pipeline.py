"""The walk of one model request, shown whole in one expression."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from chassis.call import TimeBudget, Turn
from chassis.config.constraints import Constraints
from chassis.contract import Recognizer
from chassis.guard.candidate import Candidate
from chassis.guard.circuit_breaker import CheckCircuitBreakers
from chassis.guard.concurrency import LimitConcurrency
from chassis.guard.fallback import Fallback, PrepareMessages
from chassis.guard.kill_switch import CheckKillSwitch
from chassis.guard.meter import Meter
from chassis.guard.redact import Redact
from chassis.guard.reply_cache import ModelReply, SingleFlight, UseReplyCache
from chassis.guard.request import Step
from chassis.guard.reservation import ReserveBudget, TryCheaperChains
from chassis.guard.retry import Retry
from chassis.guard.timeout import EnforceTimeout
from chassis.money.ledger import Ledger
from chassis.privacy.finder import Finder
from chassis.privacy.policy import check_destination
from chassis.store.kill_switch import KillSwitch
from chassis.store.reply_cache import ReplyCache


@dataclass(frozen=True, slots=True)
class Guard:
    """What the walk needs and shares between calls.

    Args:
        links: The models that can be asked, in order; never empty.
        constraints: The ceilings and the destinations' rules.
        ledger: Where money is held.
        replies: The cache.
        switch: Whether people let models be asked.
        recognizers: The task's own, for what no pattern can find.
        flights: What this process is asking at this moment.

    Raises:
        ConfigError: A model listens where this data may not be sent.
    """

    candidates: tuple[Candidate, ...]
    constraints: Constraints
    ledger: Ledger
    reply_cache: ReplyCache
    kill_switch: KillSwitch
    recognizers: tuple[Recognizer, ...] = ()
    in_flight: SingleFlight[ModelReply] = field(default_factory=SingleFlight[ModelReply])

    def __post_init__(self) -> None:
        for link in self.candidates:
            check_destination(link.config, self.constraints)

    def after(self, model: str) -> "Guard | None":
        """Return a guard with only the models behind that one in the chain, or None if it was the last."""
        place = [link.config.name for link in self.candidates].index(model)
        rest = self.candidates[place + 1 :]
        return replace(self, candidates=rest) if rest else None

    @property
    def finder(self) -> Finder:
        """Return what looks for all that any destination of the chain wants replaced: a later model gets the same."""
        destinations = (self.constraints.destinations[link.config.destination] for link in self.candidates)
        return Finder(frozenset(kind for place in destinations for kind in place.redact), self.recognizers)

    @property
    def chain_id(self) -> str:
        """Return a text that changes whenever the models of the chain do."""
        rules = (link.config for link in self.candidates)
        return ",".join(f"{rule.destination}/{rule.model}@{rule.base_url}#{rule.max_output_tokens}" for rule in rules)


def pipeline(guard: Guard, turn: Turn) -> Step:
    """Return the walk of one request: every guard, outermost first."""
    return CheckKillSwitch(
        Redact(
            UseReplyCache(
                TryCheaperChains(
                    (
                        ReserveBudget(
                            Fallback(
                                tuple(
                                    PrepareMessages(
                                        LimitConcurrency(
                                            CheckCircuitBreakers(
                                                Retry(
                                                    CheckKillSwitch(
                                                        Meter(EnforceTimeout(link.model, share), link, turn),
                                                        guard.kill_switch,
                                                    ),
                                                    link.retries,
                                                    share,
                                                ),
                                                link.breaker,
                                                link.destination_breaker,
                                            ),
                                            link.concurrency,
                                            share,
                                            link.config.name,
                                        ),
                                        link.model,
                                    )
                                    for link, share in _time_budgets(links, turn)
                                )
                            ),
                            links,
                            guard.constraints,
                            guard.ledger,
                            turn,
                        )
                        for links in _affordable(guard, turn)
                    ),
                    turn,
                ),
                guard.reply_cache,
                guard.in_flight,
                guard.chain_id,
                turn,
            ),
            guard.finder,
            turn,
        ),
        guard.kill_switch,
    )


def _affordable(guard: Guard, turn: Turn) -> Iterator[tuple[Candidate, ...]]:
    """Yield the models of the chain, and if it may become cheaper those left without the dearest one, and so on."""
    yield guard.candidates
    if guard.constraints.fallback.budget_exhausted == "cheaper":
        left = list(guard.candidates)
        for link in sorted(left, key=lambda link: -link.worst_case_with_retries(turn.max_input_tokens))[:-1]:
            left.remove(link)
            yield tuple(left)


def _time_budgets(links: tuple[Candidate, ...], turn: Turn) -> Iterator[tuple[Candidate, TimeBudget]]:
    """Return each model with its share: it divides the time that is left with those behind it."""
    return ((link, TimeBudget(turn.call.deadline, len(links) - place)) for place, link in enumerate(links))
