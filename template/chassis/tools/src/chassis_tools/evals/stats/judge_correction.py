"""Corrects the pass rate that an LLM judge reports for the judge's own error rates, measured on labeled answers."""

from dataclasses import dataclass
from random import Random

from chassis_tools.evals.stats.intervals import Interval

RESAMPLES = 4000
SEED = 1978
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


def corrected_rate(passed: int, judged: int, agreement: Agreement, alpha: float) -> Interval | None:
    """Return the pass rate without the judge's known errors, or None if the judge is no better than chance.

    Source: Rogan and Gladen, Estimating prevalence from the results of a screening test (1978). The bounds are a joint
    bootstrap: the labeled good answers, the labeled bad ones and the judged answers are all resampled, because all
    three are samples. An observed rate of 0 or 1 is resampled from half a case away from it, so that a judge without
    an error on a few labels does not count as perfect.

    Args:
        passed: Answers that the judge passed.
        judged: Answers that it judged, at least one.
        agreement: What people's labels showed.
        alpha: Probability that the true rate lies beyond each bound.
    """
    value = _corrected(passed / judged, agreement.true_pass_rate, agreement.true_fail_rate)
    if value is None:
        return None
    rng = Random(SEED)  # noqa: S311  no secret depends on it

    def resampled(hits: int, count: int) -> float:
        return rng.binomialvariate(count, min(max(hits, 0.5), count - 0.5) / count) / count

    rates = sorted(
        1.0 if rate is None else rate
        for _ in range(RESAMPLES)
        for rate in [
            _corrected(
                resampled(passed, judged),
                resampled(agreement.good_passed, agreement.good),
                resampled(agreement.bad_failed, agreement.bad),
            )
        ]
    )
    skipped = int(alpha * RESAMPLES)
    return Interval(min(rates[skipped], value), value, max(rates[-1 - skipped], value))


def _corrected(rate: float, true_pass_rate: float, true_fail_rate: float) -> float | None:
    """Return Rogan and Gladen's estimate; `youden` is Youden's J, 0 for a judge that guesses."""
    youden = true_pass_rate + true_fail_rate - 1
    return min(1.0, max(0.0, (rate + true_fail_rate - 1) / youden)) if youden > 0 else None
