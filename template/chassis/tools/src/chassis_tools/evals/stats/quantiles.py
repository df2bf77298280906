"""Bounds for a quantile, such as the 95th percentile of how long answers take."""

from collections.abc import Sequence
from math import exp, inf, lgamma, log

from chassis_tools.evals.stats.interval import Interval


def quantile_bounds(values: Sequence[float], quantile: float, tail: float) -> Interval:
    """Return a quantile with bounds that assume nothing about the shape of the values.

    Source: Conover, Practical nonparametric statistics, on order statistics. The values must be independent. There is
    no finite upper bound for few values: the 95th percentile needs 59 of them at 5 %.

    Args:
        values: At least one.
        quantile: Between 0 and 1.
        tail: The chance of the truth beyond each bound.
    """
    ordered = sorted(values)
    count = len(ordered)
    low, high = -inf, inf
    at_most = 0.0
    for rank in range(1, count + 1):
        at_most += _binomial(rank - 1, count, quantile)
        if at_most <= tail:
            low = ordered[rank - 1]
        if at_most >= 1 - tail:
            high = ordered[rank - 1]
            break
    place = min(count - 1, max(0, -int(-quantile * count // 1) - 1))
    return Interval(low, ordered[place], high)


def _binomial(successes: int, count: int, share: float) -> float:
    ways = lgamma(count + 1) - lgamma(successes + 1) - lgamma(count - successes + 1)
    return exp(ways + successes * log(share) + (count - successes) * log(1 - share))
