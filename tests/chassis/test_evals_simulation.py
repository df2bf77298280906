"""Error rates of the live gate and coverage of the corrected rate, simulated with fixed seeds."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from chassis_tools.evals import statistics as judge_correction
from chassis_tools.evals.gate_result import GateVerdict
from chassis_tools.evals.statistics import Agreement, corrected_rate
from sample_records import judge, make_records, ungrouped
from test_evals_gate import REGRESSION

pytestmark = pytest.mark.slow

CASES, REPEATS, MOST_REPEATS = 200, 3, 5
TRIES = 400


def population(choice: Random) -> list[float]:
    """Return the probability of each case to pass: 62 % are solid, 25 % flaky and 13 % hopeless."""
    kinds = choice.choices(("solid", "flaky", "hopeless"), (62, 25, 13), k=CASES)
    return [{"solid": 0.99, "flaky": choice.uniform(0.2, 0.95), "hopeless": 0.02}[kind] for kind in kinds]


def ask(choice: Random, rates: list[float], repeats: int) -> list[list[float]]:
    """Return the score of each case in each repeat."""
    return [[float(choice.random() < rate) for _ in range(repeats)] for rate in rates]


def verdict(choice: Random, drop: float) -> GateVerdict:
    """Return the verdict on a system whose true pass rate is lower by `drop`."""
    rates = population(choice)
    remaining = 1 - drop / (sum(rates) / CASES)
    before = make_records(ask(choice, rates, REPEATS))
    after = ask(choice, [rate * remaining for rate in rates], MOST_REPEATS)
    suite: dict[str, Any] = {"repeats": REPEATS, "max_repeats": MOST_REPEATS, "on_inconclusive": "fail"}
    result = judge(make_records([values[:REPEATS] for values in after]), before, REGRESSION, **suite)
    if result.is_inconclusive:
        result = judge(make_records(after), before, REGRESSION, **suite)
    return result.verdict


def test_an_unchanged_system_rarely_fails() -> None:
    """At 200 cases and 3 repeats, with a second look at 5: at most one false alarm in ten runs."""
    choice = Random(1)  # noqa: S311  no secret depends on it
    seen = Counter(verdict(choice, drop=0.0) for _ in range(TRIES))

    assert seen[GateVerdict.FAIL] / TRIES <= 0.10
    assert seen[GateVerdict.PASS] / TRIES >= 0.85


def test_a_drop_of_ten_points_is_found() -> None:
    """In at least nine of ten runs, and it never passes."""
    choice = Random(2)  # noqa: S311  no secret depends on it
    seen = Counter(verdict(choice, drop=0.10) for _ in range(TRIES))

    assert seen[GateVerdict.FAIL] / TRIES >= 0.90
    assert seen[GateVerdict.PASS] == 0


@pytest.mark.parametrize(
    ("true_pass_rate", "true_fail_rate", "labels"),
    [(0.95, 0.95, 50), (0.90, 0.80, 50), (0.90, 0.80, 100), (0.90, 0.60, 100)],
)
def test_the_corrected_rate_covers_the_truth(
    true_pass_rate: float, true_fail_rate: float, labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 93 to 97 of 100 samples of 300 judged answers, as its 95 % interval promises."""
    monkeypatch.setattr(judge_correction, "RESAMPLES", 500)
    choice = Random(3)  # noqa: S311  no secret depends on it
    truth, answers, samples, covered = 0.85, 300, 1000, 0
    for _ in range(samples):
        hits = choice.binomialvariate(labels, true_pass_rate), choice.binomialvariate(labels, true_fail_rate)
        good = choice.binomialvariate(answers, truth)
        passed = choice.binomialvariate(good, true_pass_rate)
        passed += choice.binomialvariate(answers - good, 1 - true_fail_rate)
        result = corrected_rate(ungrouped(passed, answers), Agreement(labels, hits[0], labels, hits[1]), alpha=0.025)
        covered += result is not None and result.low <= truth <= result.high

    assert 0.93 <= covered / samples <= 0.97
