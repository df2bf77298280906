"""A share of passes: what so many cases prove about it."""

from math import sqrt

from chassis_tools.evals.stats.interval import Interval, normal_quantile


def wilson(passes: int, cases: int, tail: float) -> Interval:
    """Return the share of passes with its score bounds.

    Source: Wilson, Probable inference, JASA 22 (1927). Unlike the interval of the textbooks it keeps its promise near
    100 % and has a width when every case passes.

    Args:
        passes: How many of the cases passed.
        cases: How many there were, at least one.
        tail: The chance of the truth beyond each bound.
    """
    z = normal_quantile(tail)
    share = passes / cases
    middle = share + z**2 / (2 * cases)
    reach = z * sqrt(share * (1 - share) / cases + z**2 / (4 * cases**2))
    scale = 1 + z**2 / cases
    return Interval(max(0.0, (middle - reach) / scale), share, min(1.0, (middle + reach) / scale))


def passes_needed(floor: float, cases: int, tail: float) -> int | None:
    """Return the fewest passes whose lower bound reaches `floor`, or None if even all passes do not."""
    enough = (passes for passes in range(cases + 1) if wilson(passes, cases, tail).low >= floor)
    return next(enough, None)


def most_after_none(cases: int, tail: float) -> float:
    """Return the largest rate that is compatible with no event in `cases` cases: `1 - tail ** (1 / cases)`."""
    return float(1 - tail ** (1 / cases))
