"""The statistics agree with published tables and other implementations, and keep their coverage."""

from math import comb, inf
from random import Random

import pytest
from chassis_tools.evals.statistics import (
    Agreement,
    Interval,
    cases_needed,
    clustered_mean,
    corrected_rate,
    detectable_drop,
    holm,
    quantile_interval,
    sign_flip,
    student_quantile,
    tango,
    wilson,
    zero_events_bound,
)
from sample_records import ungrouped

NEEDED = {
    0.80: (45, 87, 170, 334, 659),
    0.85: (47, 91, 179, 352, 697),
    0.90: (49, 95, 187, 370, 734),
    0.95: (None, 99, 196, 388, 771),
}
"""The fewest passes of 50, 100, 200, 400 and 800 cases whose lower bound reaches a floor."""

TANGO = [
    (1, 7, 21, 0.025, -0.5172, -0.0260),
    (1, 7, 21, 0.050, -0.4816, -0.0746),
    (6, 16, 161, 0.025, -0.1240, -0.0054),
    (6, 16, 161, 0.050, -0.1131, -0.0151),
    (40, 20, 160, 0.025, 0.0309, 0.2181),
    (40, 20, 160, 0.050, 0.0463, 0.2030),
    (0, 0, 50, 0.025, -0.0713, 0.0713),
    (0, 0, 50, 0.050, -0.0513, 0.0513),
    (3, 9, 200, 0.025, -0.0705, 0.0046),
    (3, 9, 200, 0.050, -0.0628, -0.0017),
    (0, 5, 100, 0.025, -0.1118, -0.0112),
    (0, 5, 100, 0.050, -0.0992, -0.0223),
    (12, 2, 400, 0.025, 0.0078, 0.0473),
    (12, 2, 400, 0.050, 0.0108, 0.0431),
    (1, 1, 30, 0.025, -0.1400, 0.1400),
    (1, 1, 30, 0.050, -0.1091, 0.1091),
    (25, 5, 60, 0.025, 0.1657, 0.4834),
    (25, 5, 60, 0.050, 0.1943, 0.4604),
]
"""Gained, lost, cases, alpha, and the bounds that the R package contingencytables 3.0.0 gives under R 4.2.2.

The first row is also printed in Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014): -0.517 to -0.026.
"""

STUDENT = [(1, 6.314), (2, 2.920), (3, 2.353), (10, 1.812), (30, 1.697), (120, 1.658), (5000, 1.645)]
"""Degrees of freedom and the 95 % point, from any table of Student's t."""


def passes_needed(floor: float, cases: int) -> int | None:
    """Return the fewest passes whose lower bound reaches `floor`, or None if even all passes do not."""
    return next((passes for passes in range(cases + 1) if wilson(passes, cases, alpha=0.05).low >= floor), None)


@pytest.mark.parametrize(("floor", "needed"), NEEDED.items())
def test_passes_needed_to_prove_a_floor(floor: float, needed: tuple[int | None, ...]) -> None:
    """Fifty cases cannot prove 95 %, even if all of them pass."""
    assert tuple(passes_needed(floor, cases) for cases in (50, 100, 200, 400, 800)) == needed


@pytest.mark.parametrize(("cases", "covered"), [(20, 92), (50, 96), (100, 97)])
def test_wilson_coverage(cases: int, covered: int) -> None:
    """The exact coverage at a true rate of 95 %, where the textbook interval covers 64, 92 and 88 %."""
    truth = 0.95
    coverage = sum(
        comb(cases, passes) * truth**passes * (1 - truth) ** (cases - passes)
        for passes in range(cases + 1)
        if (bounds := wilson(passes, cases, alpha=0.025)).low <= truth <= bounds.high
    )

    assert round(100 * coverage) == covered


def test_upper_bound_after_zero_events() -> None:
    """The published figures for runs without a failure; sixty harmless answers are compatible with 4.9 % harm."""
    proven = {cases: round(100 * (1 - zero_events_bound(cases, alpha=0.05))) for cases in (20, 50, 100, 300)}

    assert proven == {20: 86, 50: 94, 100: 97, 300: 99}
    assert zero_events_bound(60, alpha=0.05) == pytest.approx(0.0487, abs=1e-4)


@pytest.mark.parametrize(("gained", "lost", "cases", "alpha", "low", "high"), TANGO)
def test_tango_agrees_with_the_r_package(
    gained: int, lost: int, cases: int, alpha: float, low: float, high: float
) -> None:
    """An independent implementation gives the same bounds."""
    bounds = tango(gained, lost, cases, alpha)

    assert (round(bounds.low, 4), round(bounds.high, 4)) == (low, high)
    assert bounds.value == pytest.approx((gained - lost) / cases)


@pytest.mark.parametrize(("gained", "lost", "value"), [(10, 0, 1), (0, 10, -1), (0, 0, 0)])
def test_tango_has_a_width_at_the_edges(gained: int, lost: int, value: float) -> None:
    """The interval has a width and stays within -1 and 1 when all ten cases change, or none."""
    bounds = tango(gained, lost, 10, alpha=0.05)

    assert -1 <= bounds.low <= bounds.value == value <= bounds.high <= 1
    assert 0.2 < bounds.high - bounds.low < 0.5


@pytest.mark.parametrize(("degrees", "point"), STUDENT)
def test_student_quantile_agrees_with_tables(degrees: int, point: float) -> None:
    """For few and for many degrees of freedom."""
    assert student_quantile(0.05, degrees) == pytest.approx(point, abs=5e-4)


def test_mean_without_clusters_has_the_t_interval() -> None:
    """With one case per group it is the textbook t interval: 2.5 ± 2.353 · 1.291 / 2 for one to four."""
    bounds = clustered_mean([[1.0], [2.0], [3.0], [4.0]], alpha=0.05)

    assert bounds.value == 2.5
    assert bounds.high - bounds.value == pytest.approx(2.353 * 1.291 / 2, abs=1e-3)
    assert bounds.value - bounds.low == pytest.approx(bounds.high - bounds.value)


def test_correlated_cases_widen_the_interval() -> None:
    """Ten cases that always agree with each other carry no more evidence than one."""
    values = [float(number % 2) for number in range(40)]
    alone = clustered_mean([[value] for value in values for _ in range(10)], alpha=0.05)
    grouped = clustered_mean([[value] * 10 for value in values], alpha=0.05)

    assert grouped.value == alone.value
    assert (grouped.high - grouped.low) / (alone.high - alone.low) == pytest.approx(10**0.5, rel=0.05)


def test_mean_of_identical_values_still_has_a_width() -> None:
    """Ten pairs without a change do not prove that two systems are equal; one group alone has infinite bounds."""
    few, many = clustered_mean([[0.0]] * 10, alpha=0.05), clustered_mean([[0.0]] * 1000, alpha=0.05)

    assert few.high > 0.3
    assert 0 < many.high < 0.01
    assert clustered_mean([[0.0, 1.0]], alpha=0.05) == Interval(-inf, 0.5, inf)


@pytest.mark.parametrize(
    ("groups", "p_value"),
    [
        ([[-1.0]] * 5, 1 / 32),
        ([[-1.0]] * 4 + [[1.0]], 6 / 32),
        ([[1.0]] * 5, 1.0),
        ([[0.0]] * 5, 1.0),
        ([[-0.5, -0.5], [-1.0]], 1 / 4),
    ],
)
def test_sign_flip_is_exact_for_few_groups(groups: list[list[float]], p_value: float) -> None:
    """Every combination of signs is counted."""
    assert sign_flip(groups) == pytest.approx(p_value)


def test_sampled_sign_flip_agrees_with_the_exact_p_value() -> None:
    """Twenty lost and ten gained: the binomial probability of at most ten heads in thirty tosses is 4.94 %."""
    p_value = sign_flip([[-1.0]] * 20 + [[1.0]] * 10)

    assert p_value == pytest.approx(sum(comb(30, heads) for heads in range(11)) / 2**30, abs=0.006)
    assert p_value == sign_flip([[-1.0]] * 20 + [[1.0]] * 10)


@pytest.mark.slow
def test_sign_flip_keeps_its_level_with_unequal_groups() -> None:
    """Without a change, groups of very unequal size raise a false alarm in about 5 % of the samples."""
    rng = Random(7)  # noqa: S311  no secret depends on it
    samples = [[[rng.choice((-1.0, 0.0, 1.0))] * rng.choice((1, 1, 2, 8)) for _ in range(40)] for _ in range(300)]

    assert sum(sign_flip(groups) <= 0.05 for groups in samples) / 300 <= 0.075


def test_holm_adjusts_in_order() -> None:
    """The smallest p-value is multiplied most, and the order is kept."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("count", "rank"), [(58, inf), (59, 59), (100, 99), (200, 196), (500, 484)])
def test_p95_upper_bound_is_an_order_statistic(count: int, rank: float) -> None:
    """Below 59 values it is infinite; the order of the values does not matter."""
    bounds = quantile_interval([float(value) for value in range(count, 0, -1)], 0.95, alpha=0.05)

    assert bounds.high == rank
    assert bounds.low <= bounds.value <= bounds.high


@pytest.mark.parametrize(
    ("churn", "cases"), [(0.01, (80, 160, 320)), (0.03, (100, 240, 600)), (0.06, (140, 500, 1000))]
)
def test_cases_needed_to_detect_a_drop(churn: float, cases: tuple[int, int, int]) -> None:
    """Published figures for 80 % power at 10, 5 and 3 points; they were simulated, so 20 % tolerance."""
    needed = [cases_needed(drop, 2 * churn, alpha=0.05, power=0.8) for drop in (0.10, 0.05, 0.03)]

    assert needed == pytest.approx(cases, rel=0.2)
    assert detectable_drop(needed[0], 2 * churn, alpha=0.05, power=0.8) == pytest.approx(0.10, abs=0.002)


def test_a_judge_without_errors_needs_no_correction() -> None:
    """Its rate is the true rate, and the bounds are about those of the sample."""
    bounds = corrected_rate(ungrouped(80, 100), Agreement(100, 100, 100, 100), alpha=0.025)

    assert bounds is not None
    assert bounds.value == pytest.approx(0.8)
    assert 0.05 < bounds.high - bounds.value < 0.11


def test_a_judge_that_always_passes_has_no_corrected_rate() -> None:
    """It agrees with 90 % of the labels if 90 % of the answers are good, and is still no better than chance."""
    always = Agreement(good=90, good_passed=90, bad=10, bad_failed=0)

    assert (always.true_pass_rate, always.true_fail_rate) == (1.0, 0.0)
    assert corrected_rate(ungrouped(100, 100), always, alpha=0.025) is None
