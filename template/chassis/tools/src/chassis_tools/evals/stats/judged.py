"""What a judge's verdicts say about the truth, once people have shown how often the judge errs."""

from dataclasses import dataclass
from random import Random

from chassis_tools.evals.stats.interval import Interval

DRAWS = 4000
SEED = 1978
"""The year of Rogan and Gladen's estimator; a fixed seed makes a report repeatable."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a judge did on answers that people had labelled.

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
        """Return the share of good answers that the judge passes (TPR)."""
        return self.good_passed / self.good if self.good else 0.0

    @property
    def true_fail_rate(self) -> float:
        """Return the share of bad answers that the judge fails (TNR)."""
        return self.bad_failed / self.bad if self.bad else 0.0


def corrected_rate(passed: int, judged: int, agreement: Agreement, tail: float) -> Interval | None:
    """Return the share of good answers behind a judge's passes, or None if the judge is no better than a coin.

    Source: Rogan and Gladen, Estimating prevalence from the results of a screening test (1978). The bounds are a joint
    bootstrap: the labelled good ones, the labelled bad ones and the judged answers are all drawn again, because all
    three are samples. A rate that was seen as 0 or 1 is drawn from half a case away from it, so that a judge without
    an error on few labels does not count as perfect.

    Args:
        passed: Answers that the judge passed.
        judged: Answers that it judged, at least one.
        agreement: What people's labels showed.
        tail: The chance of the truth beyond each bound.
    """
    value = _corrected(passed / judged, agreement.true_pass_rate, agreement.true_fail_rate)
    if value is None:
        return None
    choice = Random(SEED)  # noqa: S311  no secret depends on it

    def drawn(hits: int, count: int) -> float:
        return choice.binomialvariate(count, min(max(hits, 0.5), count - 0.5) / count) / count

    rates = sorted(
        1.0 if rate is None else rate
        for _ in range(DRAWS)
        for rate in [
            _corrected(
                drawn(passed, judged),
                drawn(agreement.good_passed, agreement.good),
                drawn(agreement.bad_failed, agreement.bad),
            )
        ]
    )
    skipped = int(tail * DRAWS)
    return Interval(min(rates[skipped], value), value, max(rates[-1 - skipped], value))


def _corrected(rate: float, true_pass_rate: float, true_fail_rate: float) -> float | None:
    skill = true_pass_rate + true_fail_rate - 1
    return min(1.0, max(0.0, (rate + true_fail_rate - 1) / skill)) if skill > 0 else None
