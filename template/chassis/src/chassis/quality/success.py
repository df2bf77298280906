"""Success, measured: the value of the metric in `[success]` of `constraints.toml` over the last four weeks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from chassis.clock import now
from chassis.config.constraints import Success, SuccessMetric
from chassis.store.database import Database
from chassis.store.quality_history import COST_UNIT, Measure, read_counts, tasks_with_counts
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments
from chassis.usd import format_usd, nano_usd, to_usd

DAYS = 28
EXPORT_SECONDS = 60.0
"""The interval at which the value is exported as a metric."""
MIN_OBSERVATIONS = 50
"""With fewer, the value is shown, but the stop rule is not applied: it would be chance."""

METRIC_NAMES: Mapping[SuccessMetric, str] = {
    "answered_without_person": "answered without a person, of calls answered or referred",
    "positive_feedback": "positive feedback",
    "reviewed_pass_rate": "of the random sample passed",
    "cost_per_answer_usd": "per answer",
    "p95_seconds": "or less for 95% of the calls",
}
"""What follows the value of a metric in a sentence."""

type Counts = Mapping[Measure, Counter[str]]


@dataclass(frozen=True, slots=True)
class SuccessMeasurement:
    """What was measured over the last 28 days (UTC), today included.

    Args:
        success: The metric, its target and its stop rule.
        value: The value, or None if nothing was counted.
        observations: The calls, ratings or verdicts that it is of.
    """

    success: Success
    value: float | None
    observations: int

    @property
    def target_reached(self) -> bool:
        """Return whether the value is as good as the target."""
        return self.value is not None and not self._worse_than(self.success.target)

    @property
    def stop_rule_reached(self) -> bool:
        """Return whether the value is as bad as `stop_at`, or worse, of enough observations."""
        if self.value is None or self.observations < MIN_OBSERVATIONS:
            return False
        return self.value == self.success.stop_at or self._worse_than(self.success.stop_at)

    def _worse_than(self, bound: float) -> bool:
        value = self.value or 0.0
        return value > bound if self.success.lower_is_better else value < bound

    @property
    def state(self) -> str:
        """Return how the value compares with the target and the stop rule, in words."""
        if self.value is None:
            return "not measured yet"
        if self.stop_rule_reached:
            return "stop rule reached"
        return "target reached" if self.target_reached else "target not reached"

    def __str__(self) -> str:
        """Return the measurement in words."""
        success = self.success
        rule = f"target {success.target:g}, stop at {success.stop_at:g}"
        if self.value is None:
            return f"{success.metric} is not measured yet in this database ({rule})"
        few = "" if self.observations >= MIN_OBSERVATIONS else f"; below {MIN_OBSERVATIONS} the stop rule waits"
        return f"{success.metric} was {self.value:.4g} in the last {DAYS} days, of {self.observations}{few} ({rule})"


def format_metric(metric: SuccessMetric, value: float) -> str:
    """Return a value of a metric for people: `62%`, `$0.004`, `1.2 s`."""
    match metric:
        case "cost_per_answer_usd":
            return format_usd(nano_usd(value))
        case "p95_seconds":
            return f"{value:.3g} s"
        case _:
            return f"{100 * value:.3g}%"


async def measure_success(database: Database, success: Success) -> SuccessMeasurement:
    """Measure a metric over all tasks of a service.

    Raises:
        DatabaseUnavailable: The database cannot be read.
    """
    since = now().date() - timedelta(days=DAYS - 1)
    measures = MEASURES[success.metric]
    counts: dict[Measure, Counter[str]] = {measure: Counter() for measure in measures}
    for task in await tasks_with_counts(database, since):
        for count in await read_counts(database, task, measures, since):
            counts[count.measure][count.value] += count.count
    value, observations = _measured(success.metric, counts)
    return SuccessMeasurement(success, value, observations)


async def export_success(database: Database, success: Success, instruments: Instruments) -> None:
    """Measure the metric and set its gauges. Without observations they are not set.

    Raises:
        DatabaseUnavailable: The gauges keep their values.
    """
    measured = await measure_success(database, success)
    if measured.value is not None:
        labels = {names.SUCCESS_METRIC: success.metric}
        instruments.success_value.set(measured.value, labels)
        instruments.success_observations.set(measured.observations, labels)


MEASURES: Mapping[SuccessMetric, tuple[Measure, ...]] = {
    "answered_without_person": ("outcome",),
    "positive_feedback": ("feedback",),
    "reviewed_pass_rate": ("sample",),
    "cost_per_answer_usd": ("cost", "outcome"),
    "p95_seconds": ("seconds",),
}
"""The daily counts that each metric is computed from."""


def _measured(metric: SuccessMetric, counts: Counts) -> tuple[float | None, int]:
    match metric:
        case "answered_without_person":
            return _share(counts["outcome"], "answered", "referred")
        case "positive_feedback":
            return _share(counts["feedback"], "positive", "negative")
        case "reviewed_pass_rate":
            return _share(counts["sample"], "pass", "fail")
        case "cost_per_answer_usd":
            answers = counts["outcome"]["answered"]
            return (to_usd(counts["cost"][COST_UNIT]) / answers if answers else None), answers
        case "p95_seconds":
            return _p95(counts["seconds"])


def _share(values: Counter[str], good: str, bad: str) -> tuple[float | None, int]:
    total = values[good] + values[bad]
    return (values[good] / total if total > 0 else None), total


def _p95(bins: Counter[str]) -> tuple[float | None, int]:
    """Return the upper bound of the bin within which 95 % of the values lie: at most 19 % too high."""
    total, reached = bins.total(), 0
    for name in sorted(bins, key=float):
        reached += bins[name]
        if reached >= 0.95 * total:
            return float(name), total
    return None, 0
