"""Two runs over the same cases: how much better is the second one?"""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import sqrt
from random import Random

from chassis_tools.evals.stats.interval import Interval, normal_quantile, root, student_quantile

MOST_EXACT = 14
"""Up to so many groups every combination of signs is tried."""
DRAWS = 10_000
SEED = 1935
"""The year of Fisher's lady tasting tea; a fixed seed makes a verdict repeatable."""

type Groups = Sequence[Sequence[float]]
"""One inner sequence per group (a document, a conversation) with one number per case."""


def tango(gained: int, lost: int, cases: int, tail: float) -> Interval:
    """Return the difference of two shares of passes over the same cases, with its score bounds.

    Source: Tango, Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design, Statistics in Medicine 17 (1998). It has a width even when nothing flips.

    Args:
        gained: Cases that pass only in the second run.
        lost: Cases that pass only in the first.
        cases: All cases, at least one.
        tail: The chance of the truth beyond each bound.
    """
    z = normal_quantile(tail)

    def surprise(difference: float) -> float:
        linear = (2 * cases - gained + lost) * difference - gained - lost
        constant = -lost * difference * (1 - difference)
        nuisance = (sqrt(linear**2 - 8 * cases * constant) - linear) / (4 * cases)
        variance = cases * (2 * nuisance + difference * (1 - difference))
        distance = cases * difference - gained + lost
        return distance / sqrt(variance) if variance > 0 else distance * 1e9

    value = (gained - lost) / cases
    low = root(lambda difference: surprise(difference) + z, -1.0, value)
    high = root(lambda difference: surprise(difference) - z, value, 1.0)
    return Interval(low, value, high)


def clustered_mean(groups: Groups, tail: float, *, least_variance: float = 3.0) -> Interval:
    """Return the mean over all cases, with bounds that know that cases of one group go up and down together.

    Source: Miller, Adding error bars to evals (2024): the cluster-robust standard error, with Student's t on one degree
    of freedom less than there are groups. The variance of a case is taken as 3/n at least, the rule of three, because
    a sample in which nothing differs does not prove that nothing ever will.

    Args:
        groups: Values, or differences of two runs; at least one case.
        tail: The chance of the truth beyond each bound.
        least_variance: The 3 of 3/n, right for values from 0 to 1; 0 for amounts of another size.
    """
    cases = sum(len(group) for group in groups)
    mean = sum(sum(group) for group in groups) / cases
    count = len(groups)
    if count == 1:
        return Interval(-float("inf"), mean, float("inf"))
    squares = sum((sum(group) - len(group) * mean) ** 2 for group in groups)
    variance = max(squares * count / (count - 1), least_variance) / cases**2
    reach = student_quantile(tail, count - 1) * sqrt(variance)
    return Interval(mean - reach, mean, mean + reach)


def sign_flip(groups: Groups) -> float:
    """Return how likely a mean difference this low is if both runs are equally good, by flipping signs of groups.

    Source: Fisher's randomisation test (1935). Exact for any kind of value; with more than `MOST_EXACT` groups that
    differ it is drawn by lot, with a fixed seed, and never below 1 in `DRAWS`.
    """
    sums = [total for group in groups if (total := sum(group))]
    limit = sum(sums) + 1e-9
    if len(sums) <= MOST_EXACT:
        flips = [sum(flipped) for flipped in product(*((total, -total) for total in sums))]
        return sum(flipped <= limit for flipped in flips) / len(flips)
    choice = Random(SEED)  # noqa: S311  no secret depends on it
    alike = Counter(sums)  # so that a draw turns all groups of one size at once
    everything, as_low = sum(sums), 0
    for _ in range(DRAWS):
        turned = sum(total * choice.getrandbits(count).bit_count() for total, count in alike.items())
        as_low += everything - 2 * turned <= limit
    return (1 + as_low) / (1 + DRAWS)


def holm(chances: Sequence[float]) -> list[float]:
    """Return each p-value adjusted for all of them being looked at, in the same order.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    adjusted = [0.0] * len(chances)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        largest = max(largest, min(1.0, chances[place] * (len(chances) - rank)))
        adjusted[place] = largest
    return adjusted
