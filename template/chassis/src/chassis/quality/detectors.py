"""Change detectors for daily numbers: a failure rate that rises, and a distribution that moves.

They take numbers and return numbers. `chassis/handbook/observability.md` has what they reach in simulations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, inf, log, log1p, sqrt
from statistics import NormalDist

ODDS_RATIOS = (2.0, 4.0)
"""How much worse the odds of a failure become in the changes that are looked for. Changes in between are found too."""
LARGEST_EXPONENT = 500.0
"""Beyond it `exp` would overflow, and the alarm is long raised."""
MAX_PER_DAY = 100
"""The most observations that count for one day, because those of one day resemble each other."""
REFERENCE, MIN_REFERENCE = 500, 200
"""The observations that a reference should have, and those that it needs after `REFERENCE_DAYS`."""
MIN_REFERENCE_DAYS, REFERENCE_DAYS = 14, 60
"""Two whole weeks at least, because weekends differ."""
REFERENCE_CONFIDENCE = 0.8
"""The confidence of the upper bound of the reference's failure rate, which is what a change is measured against."""
HIGHEST_RATE = 0.95
"""Above it almost everything fails already, and no rise could be told from chance."""
LOWEST_RATE = 0.005
"""The lowest failure rate to compare with. Without a failure in the reference, the first one would be an alarm."""

MIN_SAMPLE = 200
"""The observations below which a distribution is not compared: PSI is then mostly chance."""
MAX_BINS = 10
WHOLE_FROM = 10
"""From here on a median is shown as a whole number: lengths, but not confidences."""
SHAPE_ALPHA = 0.001
"""The probability that a distribution that has not moved is reported."""
SMALLEST_MOVE = 0.1
"""The PSI, beyond what chance explains, below which a move is of no importance however certain it is."""


@dataclass(frozen=True, slots=True)
class DayRate:
    """The failures of one day, out of a number of observations."""

    day: date
    failures: int
    total: int


@dataclass(frozen=True, slots=True)
class RateReport:
    """What a detector says about a failure rate.

    Args:
        reference: The failures and the observations of the reference, or None while it is too small.
        recent: The failures and the observations since the most likely day of a change.
        evidence: The evidence for a change as a share of what raises an alarm, from 0; 1 or more is an alarm.
        since: The most likely first day of a change; None if no days speak for one.
    """

    reference: tuple[int, int] | None
    recent: tuple[int, int] = (0, 0)
    evidence: float = 0.0
    since: date | None = None


def reference_days(days: Sequence[DayRate]) -> int:
    """Return how many of the first days are the reference, or 0 if there are too few observations yet."""
    observations = 0
    for number, day in enumerate(days, start=1):
        observations += min(day.total, MAX_PER_DAY)
        age = (day.day - days[0].day).days + 1
        enough = MIN_REFERENCE if age >= REFERENCE_DAYS else REFERENCE
        if age >= MIN_REFERENCE_DAYS and observations >= enough:
            return number
    return 0


def detect_rise(days: Sequence[DayRate], mean_days_between_false_alarms: float, quiet_until: date | None) -> RateReport:
    """Return whether a failure rate has risen above that of the reference.

    This is an e-detector (Shin, Ramdas and Rinaldo, 2023) of Shiryaev-Roberts form, `R <- (1 + R) * L`, where L is the
    likelihood ratio of a day. If the rate has not risen, R minus the number of days is a supermartingale, so an alarm
    at R = A comes after A days or more on average, however often the running day is checked.

    Args:
        days: The numbers of each day, oldest first. The reference comes first.
        mean_days_between_false_alarms: A.
        quiet_until: The last day that is not watched, after an alarm was closed.
    """
    count = reference_days(days)
    if not count:
        return RateReport(None)
    reference = sum(day.failures for day in days[:count]), sum(day.total for day in days[:count])
    capped = sum(min(day.total, MAX_PER_DAY) for day in days[:count])
    # An upper bound, because the reference is a sample too: every second one is luckier than the service really is, and
    # each of those would end in a false alarm.
    null = max(_upper_bound(reference[0] / reference[1], capped), LOWEST_RATE)
    if null > HIGHEST_RATE:
        return RateReport(reference)
    watched = [day for day in days[count:] if quiet_until is None or day.day > quiet_until]
    alarm = log(mean_days_between_false_alarms)
    # The mean of e-detectors is one too, so looking for two sizes of change costs no more false alarms.
    runs = [_run(watched, null, odds_ratio, alarm / 2) for odds_ratio in ODDS_RATIOS]
    # R may be larger than a float can hold, so that everything here is a logarithm.
    evidence = _log_mean_exp([run.log_r for run in runs]) / alarm
    best = max(runs, key=lambda run: run.log_likelihood)
    if best.first is None or best.log_likelihood <= 0:
        return RateReport(reference, evidence=max(0.0, evidence))
    since = [day for day in watched if day.day >= best.first]
    recent = sum(day.failures for day in since), sum(day.total for day in since)
    return RateReport(reference, recent, evidence, best.first)


@dataclass(slots=True)
class _Run:
    """One alternative of a detector: log R, and the most likely start of a change with its log likelihood ratio."""

    log_r: float = -inf
    log_likelihood: float = 0.0
    first: date | None = None


def _run(days: Sequence[DayRate], null: float, odds_ratio: float, most: float) -> _Run:
    odds = odds_ratio * null / (1 - null)
    failure, success = log(odds / (1 + odds) / null), log(1 / (1 + odds) / (1 - null))
    run = _Run()
    for day in days:
        # By Jensen's inequality a likelihood ratio to a power below 1 still has a mean of at most 1 if nothing has
        # changed.
        weight = min(1.0, MAX_PER_DAY / day.total) if day.total else 0.0
        ratio = weight * (day.failures * failure + (day.total - day.failures) * success)
        # One day alone never raises an alarm: an outage has its own. Smaller ratios keep the mean time to an alarm.
        ratio = min(ratio, most)
        run.log_r = ratio + log1p(exp(min(run.log_r, LARGEST_EXPONENT)))
        if run.log_likelihood <= 0:  # as in a CUSUM, a change can only have begun after the last low
            run.log_likelihood, run.first = 0.0, day.day
        run.log_likelihood += ratio
    return run


def _log_mean_exp(values: Sequence[float]) -> float:
    highest = max(values)
    return -inf if highest == -inf else highest + log(sum(exp(value - highest) for value in values) / len(values))


def _upper_bound(rate: float, total: int) -> float:
    """Return the Wilson upper bound of a rate."""
    z = NormalDist().inv_cdf(REFERENCE_CONFIDENCE)
    center = rate + z**2 / (2 * total)
    return (center + z * sqrt(rate * (1 - rate) / total + z**2 / (4 * total**2))) / (1 + z**2 / total)


@dataclass(frozen=True, slots=True)
class ShapeReport:
    """What is known about a move of a distribution.

    Args:
        moved: Whether it has moved.
        psi: The population stability index beyond what chance explains.
        before: The median of the reference, as the upper bound of its bin.
        now: The median of the present.
    """

    moved: bool
    psi: float
    before: float
    now: float


def compare_shapes(reference: Mapping[str, int], present: Mapping[str, int]) -> ShapeReport | None:
    """Return whether a distribution has moved, or None if either side has fewer than 200 observations.

    The index of two samples of the same distribution is about chi-square with one degree less than there are bins,
    times `1 / n + 1 / m` (Yurdakul and Naranjo, 2020). The usual thresholds of 0.1 and 0.2 ignore that.

    Args:
        reference: The number of observations of each bin. A bin is named by its upper bound.
        present: The same of the days to compare.
    """
    sizes = sum(reference.values()), sum(present.values())
    if min(sizes) < MIN_SAMPLE:
        return None
    bins = _equal_bins(reference, present)
    degrees, scale = len(bins) - 1, 1 / sizes[0] + 1 / sizes[1]
    shares = [
        # Half an observation in each bin (Jeffreys), because the logarithm of an empty one would be infinite.
        [(sum(side.get(name, 0) for name in names) + 0.5) / (size + 0.5 * len(bins)) for names in bins]
        for side, size in zip((reference, present), sizes, strict=True)
    ]
    psi = sum((now - before) * log(now / before) for before, now in zip(*shares, strict=True))
    beyond_chance = psi - degrees * scale
    moved = degrees > 0 and beyond_chance >= SMALLEST_MOVE and psi > scale * _chi_square_quantile(degrees)
    return ShapeReport(moved, max(0.0, beyond_chance), _median(reference), _median(present))


def _equal_bins(reference: Mapping[str, int], present: Mapping[str, int]) -> list[list[str]]:
    """Return the names of the bins in at most ten groups that are about equally frequent in the reference."""
    least = sum(reference.values()) / MAX_BINS
    groups: list[list[str]] = [[]]
    filled = 0
    for name in sorted(reference.keys() | present.keys(), key=float):
        # What is new below a frequent value, or above all values, must not vanish in the group of that value.
        if filled >= least or (groups[-1] and not filled and reference.get(name, 0) >= least):
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += reference.get(name, 0)
    return groups


def _chi_square_quantile(degrees: int) -> float:
    """Return what a chi-square variable exceeds with `SHAPE_ALPHA`, by the cube root of Wilson and Hilferty (1931)."""
    variance = 2 / (9 * degrees)
    return degrees * (1 - variance + NormalDist().inv_cdf(1 - SHAPE_ALPHA) * sqrt(variance)) ** 3


def _median(bins: Mapping[str, int]) -> float:
    half, reached = sum(bins.values()) / 2, 0
    for name in sorted(bins, key=float):
        reached += bins[name]
        if reached >= half:
            return round(float(name), 2 if float(name) < WHOLE_FROM else None)
    raise ValueError("the bins are empty")
