"""The statistics of an evaluation: intervals, paired comparisons, and judges corrected for their errors."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import atan, ceil, cos, exp, inf, lgamma, log, pi, sin, sqrt
from random import Random
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
    # The factor is the usual correction for few groups.
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
    # The number of values below the quantile is binomial. The bounds are the order statistics around it.
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
    # A hundred halvings reach the last bit of a float from any bounds that are used here.
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


MAX_EXACT_GROUPS = 14
"""Up to this many groups, the sign-flip test enumerates every combination of signs."""
PERMUTATIONS = 10_000
SIGN_FLIP_SEED = 1935
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
        # Tango's q21: the maximum-likelihood estimate of the second discordant cell if the difference is as given.
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
    # A group without a difference is the same with either sign, and only doubles the work.
    sums = [total for group in groups if (total := sum(group))]
    observed = sum(sums)
    limit = observed + 1e-9  # so that rounding does not hide a tie
    if len(sums) <= MAX_EXACT_GROUPS:
        flips = [sum(flipped) for flipped in product(*((total, -total) for total in sums))]
        return sum(flipped <= limit for flipped in flips) / len(flips)
    rng = Random(SIGN_FLIP_SEED)  # noqa: S311  no secret depends on it
    group_counts = Counter(sums)  # so that one draw flips all groups of the same size
    as_low = 0
    for _ in range(PERMUTATIONS):
        # Flipping a share of equal groups is binomial, and the number of set bits of a random integer is just that.
        flipped = sum(total * rng.getrandbits(count).bit_count() for total, count in group_counts.items())
        as_low += observed - 2 * flipped <= limit
    # One is added for the observed result itself, so that a p-value is never 0 (Phipson and Smyth, 2010).
    return (1 + as_low) / (1 + PERMUTATIONS)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values, in the same order, adjusted for multiple comparisons.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        # A hypothesis is not rejected if one with a smaller p-value was not.
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def detectable_drop(cases: int, variance: float, alpha: float, power: float, grouping: float = 1.0) -> float:
    """Return the smallest drop in pass rate that a paired comparison detects with probability `power`.

    Source: the usual normal approximation for paired differences; a drop of d adds d(1 - d) to the variance, because
    the cases that drop change from pass to fail.

    Args:
        cases: Number of cases.
        variance: Variance of a case's difference between two runs of the same system.
        alpha: Probability that an unchanged system fails.
        power: Probability that the drop is detected.
        grouping: The design effect of the groups, since a drop hits the cases of a group together.
    """
    z = normal_quantile(alpha) + normal_quantile(1 - power)
    return find_root(lambda drop: drop - z * sqrt((variance + grouping * drop * (1 - drop)) / cases), 1e-9, 1.0)


def cases_needed(drop: float, variance: float, alpha: float, power: float, grouping: float = 1.0) -> int:
    """Return how many cases a paired comparison needs to detect `drop` with probability `power`."""
    z = normal_quantile(alpha) + normal_quantile(1 - power)
    return ceil(z**2 * (variance + grouping * drop * (1 - drop)) / drop**2)


RESAMPLES = 4000
BOOTSTRAP_SEED = 1978
"""The year of Rogan and Gladen's estimator; a fixed seed makes a report repeatable."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a judge did on answers that people had labeled.

    Args:
        good: Answers that people passed.
        good_passed: Those of them that the judge passed too.
        bad: Answers that people failed.
        bad_failed: Those of them that the judge failed too.
    """

    good: int
    good_passed: int
    bad: int
    bad_failed: int

    @property
    def true_pass_rate(self) -> float:
        """Return the share of good answers that the judge passes (TPR, sensitivity)."""
        return self.good_passed / self.good if self.good else 0.0

    @property
    def true_fail_rate(self) -> float:
        """Return the share of bad answers that the judge fails (TNR, specificity)."""
        return self.bad_failed / self.bad if self.bad else 0.0


def effective_count(groups: Groups) -> float:
    """Return how many independent passes or fails tell as much about their mean as these grouped ones.

    Source: Kish, Survey sampling (1965): the number of values divided by the design effect, which is the variance of
    the mean with groups over the one without. Groups that are all right or all wrong count once each.
    """
    count, clusters = sum(len(group) for group in groups), len(groups)
    mean = sum(sum(group) for group in groups) / count
    # With all the same, the variance says nothing about how alike the cases of a group are; each group counts once.
    if clusters == count or not 0 < mean < 1:
        return clusters
    squares = sum((sum(group) - len(group) * mean) ** 2 for group in groups)
    clustered = squares * clusters / (clusters - 1) / count**2 if clusters > 1 else inf
    return min(count, max(1.0, mean * (1 - mean) / clustered if clustered else count))


def corrected_rate(groups: Groups, agreement: Agreement, alpha: float) -> Interval | None:
    """Return the pass rate without the judge's known errors, or None if the judge is no better than chance.

    Source: Rogan and Gladen, Estimating prevalence from the results of a screening test (1978). The bounds are a joint
    bootstrap: the labeled good answers, the labeled bad ones and the judged answers are all resampled, because all
    three are samples. An observed rate of 0 or 1 is resampled from half a case away from it, so that a judge without
    an error on a few labels does not count as perfect. Answers of one group are resampled as the `effective_count` of
    independent ones.

    Args:
        groups: What the judge said, 1 for a pass; the answers to one case are one group. At least one answer.
        agreement: What people's labels showed.
        alpha: Probability that the true rate lies beyond each bound.
    """
    rate = sum(sum(group) for group in groups) / sum(len(group) for group in groups)
    judged = max(1, round(effective_count(groups)))
    value = _corrected(rate, agreement.true_pass_rate, agreement.true_fail_rate)
    if value is None:
        return None
    rng = Random(BOOTSTRAP_SEED)  # noqa: S311  no secret depends on it

    def resampled(hits: float, count: int) -> float:
        # Half a hit away from 0 and 1: resampling an observed 100 % would always give 100 %.
        return rng.binomialvariate(count, min(max(hits, 0.5), count - 0.5) / count) / count

    rates = sorted(
        1.0 if corrected is None else corrected
        for _ in range(RESAMPLES)
        for corrected in [
            _corrected(
                resampled(rate * judged, judged),
                resampled(agreement.good_passed, agreement.good),
                resampled(agreement.bad_failed, agreement.bad),
            )
        ]
    )
    # Below, the bounds are made to include the estimate: a bootstrap of few labels may lie beside it.
    skipped = int(alpha * RESAMPLES)
    return Interval(min(rates[skipped], value), value, max(rates[-1 - skipped], value))


def _corrected(rate: float, true_pass_rate: float, true_fail_rate: float) -> float | None:
    """Return Rogan and Gladen's estimate; `youden` is Youden's J, 0 for a judge that guesses."""
    youden = true_pass_rate + true_fail_rate - 1
    return min(1.0, max(0.0, (rate + true_fail_rate - 1) / youden)) if youden > 0 else None
