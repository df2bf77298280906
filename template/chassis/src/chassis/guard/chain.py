"""The walk of one model request, shown whole in one expression."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from chassis.call import Share, Turn
from chassis.constraints import Constraints
from chassis.guard.afforded import Afforded
from chassis.guard.breaking import Breaking
from chassis.guard.cached import Cached, Landed
from chassis.guard.fallback import Fallback
from chassis.guard.flights import Flights
from chassis.guard.held import Held
from chassis.guard.link import Link
from chassis.guard.metered import Metered
from chassis.guard.prepared import Prepared
from chassis.guard.queued import Queued
from chassis.guard.redacted import Redacted
from chassis.guard.redaction import Finder
from chassis.guard.retried import Retried
from chassis.guard.step import Step
from chassis.guard.switched import Switched
from chassis.guard.timed import Timed
from chassis.policy import check_destination
from chassis.sensitive import Recogniser
from chassis.store.ledger import Ledger
from chassis.store.replies import Replies
from chassis.store.switch import ModelSwitch


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
