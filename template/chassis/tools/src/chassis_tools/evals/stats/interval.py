"""What every estimate comes with: how low and how high the truth may be."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import atan, cos, pi, sin, sqrt
from statistics import NormalDist
from typing import ClassVar

MOST_DEGREES = 1000
"""From here on Student's distribution is the normal one plus a term that is exact to seven digits."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its bounds, `low <= value <= high`; a bound may be infinite."""

    __pydantic_config__: ClassVar = {"ser_json_inf_nan": "strings"}  # JSON has no infinity

    low: float
    value: float
    high: float


def normal_quantile(tail: float) -> float:
    """Return what a standard normal number exceeds with the chance `tail`."""
    return NormalDist().inv_cdf(1 - tail)


@lru_cache
def student_quantile(tail: float, degrees: int) -> float:
    """Return what Student's t exceeds with the chance `tail`, at most 0.5.

    Source: the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4, inverted by halving.
    """
    if degrees >= MOST_DEGREES:
        z = normal_quantile(tail)
        return z + (z**3 + z) / (4 * degrees)
    return root(lambda t: tail - _student_tail(t, degrees), 0.0, 1e6)


def root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that does not fall crosses zero between `low` and `high`, by halving."""
    for _ in range(100):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_tail(t: float, degrees: int) -> float:
    angle = atan(t / sqrt(degrees))
    square = cos(angle) ** 2
    odd = degrees % 2
    term = cos(angle) if odd else 1.0
    total = 0.0
    for power in range(2 + odd, degrees + 1, 2):
        total += term
        term *= square * (power - 1) / power
    total *= sin(angle)
    return (1 - (2 / pi * (angle + total) if odd else total)) / 2
