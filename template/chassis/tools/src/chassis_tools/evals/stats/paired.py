"""Paired comparison: how much better or worse a second run does on the same cases, and what such a test can detect."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import ceil, sqrt
from random import Random

from chassis_tools.evals.stats.intervals import Groups, Interval, find_root, normal_quantile

MAX_EXACT_GROUPS = 14
"""Up to this many groups, the sign-flip test enumerates every combination of signs."""
PERMUTATIONS = 10_000
SEED = 1935
"""The year of Fisher's lady tasting tea; a fixed seed makes a verdict repeatable."""


def tango(gained: int, lost: int, cases: int, alpha: float) -> Interval:
    """Return the difference between two pass rates on the same cases, with its score interval.

    Source: Tango, Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design, Statistics in Medicine 17 (1998). It has a width even when no case changes.

    Args:
        gained: Cases that pass only in the second run.
        lost: Cases that pass only in the first.
        cases: All cases, at least one.
        alpha: Probability that the true difference lies beyond each bound.
    """
    z = normal_quantile(alpha)

    def score(difference: float) -> float:
        linear = (2 * cases - gained + lost) * difference - gained - lost
        constant = -lost * difference * (1 - difference)
        nuisance = (sqrt(linear**2 - 8 * cases * constant) - linear) / (4 * cases)
        variance = cases * (2 * nuisance + difference * (1 - difference))
        distance = cases * difference - gained + lost
        # At -1 and 1 the variance is zero; only the sign of the score matters there.
        return distance / sqrt(variance) if variance > 0 else distance * 1e9

    value = (gained - lost) / cases
    low = find_root(lambda difference: score(difference) + z, -1.0, value)
    high = find_root(lambda difference: score(difference) - z, value, 1.0)
    return Interval(low, value, high)


def sign_flip(groups: Groups) -> float:
    """Return the one-sided p-value of a mean difference this low if both runs are equally good.

    Source: Fisher's randomization test (1935), flipping the signs of whole groups. Exact for any kind of value; with
    more than `MAX_EXACT_GROUPS` groups that differ it is estimated from `PERMUTATIONS` random flips with a fixed seed.
    """
    sums = [total for group in groups if (total := sum(group))]
    observed = sum(sums)
    limit = observed + 1e-9  # so that rounding does not hide a tie
    if len(sums) <= MAX_EXACT_GROUPS:
        flips = [sum(flipped) for flipped in product(*((total, -total) for total in sums))]
        return sum(flipped <= limit for flipped in flips) / len(flips)
    rng = Random(SEED)  # noqa: S311  no secret depends on it
    group_counts = Counter(sums)  # so that one draw flips all groups of the same size
    as_low = 0
    for _ in range(PERMUTATIONS):
        flipped = sum(total * rng.getrandbits(count).bit_count() for total, count in group_counts.items())
        as_low += observed - 2 * flipped <= limit
    return (1 + as_low) / (1 + PERMUTATIONS)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values, in the same order, adjusted for multiple comparisons.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def detectable_drop(cases: int, variance: float, alpha: float, power: float) -> float:
    """Return the smallest drop in pass rate that a paired comparison detects with probability `power`.

    Source: the usual normal approximation for paired differences; a drop of d adds d(1 - d) to the variance, because
    the cases that drop change from pass to fail.

    Args:
        cases: Number of cases.
        variance: Variance of a case's difference between two runs of the same system.
        alpha: Probability that an unchanged system fails.
        power: Probability that the drop is detected.
    """
    z = normal_quantile(alpha) + normal_quantile(1 - power)
    return find_root(lambda drop: drop - z * sqrt((variance + drop * (1 - drop)) / cases), 1e-9, 1.0)


def cases_needed(drop: float, variance: float, alpha: float, power: float) -> int:
    """Return how many cases a paired comparison needs to detect `drop` with probability `power`."""
    z = normal_quantile(alpha) + normal_quantile(1 - power)
    return ceil(z**2 * (variance + drop * (1 - drop)) / drop**2)
