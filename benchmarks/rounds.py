"""How things are compared: all of them in every round, and of each the cheapest round counts.

CPU time is what is compared, since it hardly depends on what else the machine does; the least of many rounds is the one
that was disturbed least; and taking turns spreads every disturbance over all.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, getrusage


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Args:
        rounds: Rounds of what takes seconds.
        bursts: Rounds of what takes milliseconds.
        calls: How many calls make a burst.
    """

    rounds: int
    bursts: int
    calls: int


FULL = Effort(rounds=3, bursts=50, calls=10)
QUICK = Effort(rounds=1, bursts=1, calls=1)


def in_turn[T](contestants: Mapping[str, T], rounds: int) -> Iterator[tuple[str, T]]:
    """Yield every contestant once a round."""
    for _ in range(rounds):
        yield from contestants.items()


def lowest(measured: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the lowest figure of each contestant, in the order in which they first took their turn."""
    best: dict[str, float] = {}
    for name, figure in measured:
        best[name] = min(figure, best.get(name, figure))
    return best


def cpu_seconds() -> float:
    """Return the CPU time of this process, its threads and the children that it has waited for."""
    return time.process_time() + cpu_of_children()


def cpu_of_children() -> float:
    """Return the CPU time of the children that this process has waited for."""
    children = getrusage(RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
