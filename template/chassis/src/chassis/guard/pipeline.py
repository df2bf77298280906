"""The walk of one model request, shown whole in one expression."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from chassis.call import Share, Turn
from chassis.config.constraints import Constraints
from chassis.contract import Recogniser
from chassis.guard.candidate import Link
from chassis.guard.circuit_breaker import Breaking
from chassis.guard.concurrency import Queued
from chassis.guard.fallback import Fallback, Prepared
from chassis.guard.kill_switch import Switched
from chassis.guard.meter import Metered
from chassis.guard.redact import Redacted
from chassis.guard.reply_cache import Cached, Flights, Landed
from chassis.guard.request import Step
from chassis.guard.reservation import Afforded, Held
from chassis.guard.retry import Retried
from chassis.guard.timeout import Timed
from chassis.money.ledger import Ledger
from chassis.privacy.finder import Finder
from chassis.privacy.policy import check_destination
from chassis.store.kill_switch import ModelSwitch
from chassis.store.reply_cache import Replies


@dataclass(frozen=True, slots=True)
class Guard:
    """What the walk needs and shares between calls.

    Args:
        links: The models that can be asked, in order; never empty.
        constraints: The ceilings and the destinations' rules.
        ledger: Where money is held.
        replies: The cache.
        switch: Whether people let models be asked.
        recognisers: The task's own, for what no pattern can find.
        flights: What this process is asking at this moment.

    Raises:
        ConfigError: A model listens where this data may not be sent.
    """

    links: tuple[Link, ...]
    constraints: Constraints
    ledger: Ledger
    replies: Replies
    switch: ModelSwitch
    recognisers: tuple[Recogniser, ...] = ()
    flights: Flights[Landed] = field(default_factory=Flights[Landed])

    def __post_init__(self) -> None:
        for link in self.links:
            check_destination(link.rules, self.constraints)

    def after(self, model: str) -> "Guard | None":
        """Return a guard with only the models behind that one in the chain, or None if it was the last."""
        place = [link.rules.name for link in self.links].index(model)
        rest = self.links[place + 1 :]
        return replace(self, links=rest) if rest else None

    @property
    def finder(self) -> Finder:
        """Return what looks for all that any destination of the chain wants replaced: a later model gets the same."""
        destinations = (self.constraints.destinations[link.rules.destination] for link in self.links)
        return Finder(frozenset(kind for place in destinations for kind in place.redact), self.recognisers)

    @property
    def chain_id(self) -> str:
        """Return a text that changes whenever the models of the chain do."""
        rules = (link.rules for link in self.links)
        return ",".join(f"{rule.destination}/{rule.model}@{rule.base_url}#{rule.max_output_tokens}" for rule in rules)


def walk(guard: Guard, turn: Turn) -> Step:
    """Return the walk of one request: every guard, outermost first."""
    return Switched(
        Redacted(
            Cached(
                Afforded(
                    (
                        Held(
                            Fallback(
                                tuple(
                                    Prepared(
                                        Queued(
                                            Breaking(
                                                Retried(
                                                    Switched(
                                                        Metered(Timed(link.vendor, share), link, turn), guard.switch
                                                    ),
                                                    link.retries,
                                                    share,
                                                ),
                                                link.breaker,
                                                link.destination,
                                            ),
                                            link.line,
                                            share,
                                            link.rules.name,
                                        ),
                                        link.vendor,
                                    )
                                    for link, share in _shares(links, turn)
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
                guard.replies,
                guard.flights,
                guard.chain_id,
                turn,
            ),
            guard.finder,
            turn,
        ),
        guard.switch,
    )


def _affordable(guard: Guard, turn: Turn) -> Iterator[tuple[Link, ...]]:
    """Yield the models of the chain, and if it may become cheaper those left without the dearest one, and so on."""
    yield guard.links
    if guard.constraints.when_wrong.budget_exhausted == "cheaper":
        left = list(guard.links)
        for link in sorted(left, key=lambda link: -link.worst_case_with_retries(turn.input_bound))[:-1]:
            left.remove(link)
            yield tuple(left)


def _shares(links: tuple[Link, ...], turn: Turn) -> Iterator[tuple[Link, Share]]:
    """Return each model with its share: it divides the time that is left with those behind it."""
    return ((link, Share(turn.call.deadline, len(links) - place)) for place, link in enumerate(links))
