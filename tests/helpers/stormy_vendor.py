"""A vendor that fails three times in ten, and keeps books of what it did for each question: the outside audit."""

import asyncio
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from faulty_service import USED
from faulty_vendor import Behavior, Exchange, completion, hang_up, raw, status

FAILS = 0.3
NUMBER = re.compile(rb"number (\d{6})")
SERVED, CUT, REFUSED, DROPPED = "served", "cut", "refused", "dropped"
FAILURES: tuple[tuple[str, Behavior], ...] = (
    (REFUSED, status(400)),
    (REFUSED, status(429)),
    (DROPPED, status(500)),
    (DROPPED, status(503)),
    (DROPPED, status(504)),
    (DROPPED, hang_up),
    (CUT, raw(completion("length", content="Fo"))),
)
"""What each is to the books: a reply that is cut off at its cap is paid for, though it is of no use."""
SURE, UNSURE = raw(completion(content="Four.")), raw(completion(content="?Five."))


@dataclass
class Books:
    """What was sent for each question, and what became of it.

    Args:
        unsure: Every so many questions it answers something that nobody should trust.
        entries: By the number of the question, oldest first.
        drops: The numbers of questions of which every request is dropped.
    """

    unsure: int = 7
    entries: "defaultdict[int, list[str]]" = field(default_factory=lambda: defaultdict(list))
    drops: frozenset[int] = frozenset()

    async def behave(self, exchange: Exchange) -> None:
        """Serve or fail, by chance, but the same way each time that the storm is made."""
        found = NUMBER.search(exchange.body)
        assert found
        number = int(found[1])
        entry, behaviour = self._chosen(number, len(self.entries[number]))
        self.entries[number].append(entry)
        await asyncio.sleep(0.01)
        await behaviour(exchange)

    def _chosen(self, number: int, place: int) -> tuple[str, Behavior]:
        chance = random.Random(f"{number}/{place}")  # noqa: S311 - nothing secret about it
        if number in self.drops:
            return DROPPED, hang_up
        if chance.random() < FAILS:
            return chance.choice(FAILURES)
        return SERVED, UNSURE if number % self.unsure == 0 else SURE

    def charge(self, number: int, worst: int) -> int:
        """Return what a question costs by rule, in nano-USD; nobody knows what a dropped request cost."""
        return sum({SERVED: USED, CUT: USED, REFUSED: 0, DROPPED: worst}[entry] for entry in self.entries[number])

    def totals(self) -> Counter[str]:
        """Return how many requests were served, cut, refused and dropped."""
        return Counter(entry for entries in self.entries.values() for entry in entries)
