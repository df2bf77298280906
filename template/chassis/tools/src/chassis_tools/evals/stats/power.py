"""What a data set can show, before anybody runs it."""

from math import ceil, sqrt

from chassis_tools.evals.stats.interval import normal_quantile, root


def detectable_drop(cases: int, noise: float, tail: float, power: float) -> float:
    """Return the smallest drop that a paired comparison detects with the chance `power`.

    Source: the usual normal approximation for paired differences; a drop of d adds d(1 - d) to the variance, because
    the cases that drop flip from pass to fail.

    Args:
        cases: How many.
        noise: The variance of a case's difference between two runs of the same system.
        tail: How often an unchanged system may fail.
        power: How often the drop is to be detected.
    """
    z = normal_quantile(tail) + normal_quantile(1 - power)
    return root(lambda drop: drop - z * sqrt((noise + drop * (1 - drop)) / cases), 1e-9, 1.0)


def cases_needed(drop: float, noise: float, tail: float, power: float) -> int:
    """Return how many cases a paired comparison needs to detect `drop` with the chance `power`."""
    z = normal_quantile(tail) + normal_quantile(1 - power)
    return ceil(z**2 * (noise + drop * (1 - drop)) / drop**2)
