"""How much two runs of the very same service differ, from the records at hand."""

from collections.abc import Sequence
from statistics import pvariance

from chassis_tools.evals.gate.evidence import Scores, changes, comparable


def noise_of(now: Scores, before: Scores) -> float:
    """Return the variance of a case's difference between two runs, 3/n at least.

    With repeats it is what the repeats of a case vary by, for two runs; else what changed since the accepted run,
    which takes every true change for noise and so promises too little rather than too much.
    """
    least = 3 / len(now)
    repeats = max(len(score.values) for score in now.values())
    if repeats > 1:
        within = [_variance(score.values) for score in now.values() if len(score.values) > 1]
        return max(least, 2 * sum(within) / len(within) / repeats)
    cases = comparable(before, now)
    flat = [change for group in changes(before, now, cases) for change in group]
    return max(least, pvariance(flat)) if flat else least


def _variance(values: Sequence[float]) -> float:
    """Return the variance of a sample; the exact fractions of `statistics.variance` take forty times as long."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
