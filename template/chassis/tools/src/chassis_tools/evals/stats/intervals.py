"""Confidence intervals for one run: pass rates, means of clustered cases and quantiles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import atan, cos, exp, inf, lgamma, log, pi, sin, sqrt
from statistics import NormalDist
from typing import ClassVar

LARGE_DEGREES = 1000
"""From this many degrees of freedom on, Student's t is the normal distribution plus one term, exact to 7 digits."""

type Groups = Sequence[Sequence[float]]
"""One inner sequence per group (a document, a conversation), with one number per case."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence bounds, `low <= value <= high`; a bound may be infinite."""

    __pydantic_config__: ClassVar = {"ser_json_inf_nan": "strings"}  # JSON has no infinity

    low: float
    value: float
    high: float


def wilson(passes: int, cases: int, alpha: float) -> Interval:
    """Return a pass rate with its Wilson score interval.

    Source: Wilson, Probable inference, JASA 22 (1927). Unlike the textbook interval it keeps its coverage near 100 %
    and has a width when every case passes.

    Args:
        passes: Cases that passed.
        cases: All cases, at least one.
        alpha: Probability that the true rate lies beyond each bound.
    """
    z = normal_quantile(alpha)
    rate = passes / cases
    center = rate + z**2 / (2 * cases)
    margin = z * sqrt(rate * (1 - rate) / cases + z**2 / (4 * cases**2))
    scale = 1 + z**2 / cases
    return Interval(max(0.0, (center - margin) / scale), rate, min(1.0, (center + margin) / scale))


def zero_events_bound(cases: int, alpha: float) -> float:
    """Return the upper bound of a rate of which no event was seen in `cases` cases: `1 - alpha ** (1 / cases)`."""
    return float(1 - alpha ** (1 / cases))


def clustered_mean(groups: Groups, alpha: float, *, variance_floor: float = 3.0) -> Interval:
    """Return the mean over all cases, with bounds that allow for cases of one group being correlated.

    Source: Miller, Adding error bars to evals (2024): the cluster-robust standard error, with Student's t on one degree
    of freedom less than there are groups. The variance of a case is at least 3/n, after the rule of three, because a
    sample without any difference does not prove that there is none.

    Args:
        groups: Values, or differences between two runs; at least one case.
        alpha: Probability that the true mean lies beyond each bound.
        variance_floor: The 3 of 3/n, right for values from 0 to 1; 0 for amounts on another scale.
    """
    cases = sum(len(group) for group in groups)
    mean = sum(sum(group) for group in groups) / cases
    count = len(groups)
    if count == 1:
        return Interval(-inf, mean, inf)
    squares = sum((sum(group) - len(group) * mean) ** 2 for group in groups)
    variance = max(squares * count / (count - 1), variance_floor) / cases**2
    margin = student_quantile(alpha, count - 1) * sqrt(variance)
    return Interval(mean - margin, mean, mean + margin)


def quantile_interval(values: Sequence[float], quantile: float, alpha: float) -> Interval:
    """Return a sample quantile with distribution-free bounds.

    Source: Conover, Practical nonparametric statistics, on order statistics. The values must be independent. A small
    sample has no finite upper bound: the 95th percentile needs 59 values at alpha 0.05.

    Args:
        values: At least one.
        quantile: Between 0 and 1.
        alpha: Probability that the true quantile lies beyond each bound.
    """
    ordered = sorted(values)
    count = len(ordered)
    low, high = -inf, inf
    cumulative = 0.0
    for rank in range(1, count + 1):
        cumulative += _binomial(rank - 1, count, quantile)
        if cumulative <= alpha:
            low = ordered[rank - 1]
        if cumulative >= 1 - alpha:
            high = ordered[rank - 1]
            break
    index = min(count - 1, max(0, -int(-quantile * count // 1) - 1))
    return Interval(low, ordered[index], high)


def normal_quantile(alpha: float) -> float:
    """Return the value that a standard normal variable exceeds with probability `alpha`."""
    return NormalDist().inv_cdf(1 - alpha)


@lru_cache
def student_quantile(alpha: float, degrees: int) -> float:
    """Return the value that Student's t exceeds with probability `alpha`, which is at most 0.5.

    Source: the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4, inverted by bisection.
    """
    if degrees >= LARGE_DEGREES:
        z = normal_quantile(alpha)
        return z + (z**3 + z) / (4 * degrees)
    return find_root(lambda t: alpha - _student_survival(t, degrees), 0.0, 1e6)


def find_root(increasing: Callable[[float], float], low: float, high: float) -> float:
    """Return where a non-decreasing function crosses zero between `low` and `high`, by bisection."""
    for _ in range(100):
        middle = (low + high) / 2
        if increasing(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_survival(t: float, degrees: int) -> float:
    """Return the probability that Student's t exceeds `t`."""
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


def _binomial(successes: int, trials: int, rate: float) -> float:
    # By logarithms, because the binomial coefficient itself overflows a float from about a thousand trials on.
    coefficient = lgamma(trials + 1) - lgamma(successes + 1) - lgamma(trials - successes + 1)
    return exp(coefficient + successes * log(rate) + (trials - successes) * log(1 - rate))
