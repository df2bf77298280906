"""The records of a run, put together by case: what every rule looks at."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import pvariance

from chassis_tools.evals.records import ScoreRecord, Variant
from chassis_tools.evals.stats.intervals import Groups, Interval, clustered_mean, wilson
from chassis_tools.evals.stats.paired import tango

COUNTED = frozenset({"ok", "failed"})
"""The records that have a value."""
LOST = frozenset({"outage", "skipped"})
"""The trials that say nothing about the service."""


@dataclass(frozen=True, slots=True)
class CaseScore:
    """What one evaluator says of one case, over all repeats."""

    record: ScoreRecord
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Return the mean over the repeats."""
        return sum(self.values) / len(self.values)

    @property
    def is_plain(self) -> bool:
        """Return whether it is a single yes or no."""
        return len(self.values) == 1 and self.values[0] in {0.0, 1.0} and self.record.group == self.record.case


type CaseScores = Mapping[str, CaseScore]
"""By case."""


def scores_of(
    records: Iterable[ScoreRecord], evaluator: str, variant: Variant = "service", tag: str | None = None
) -> CaseScores:
    """Return the scores that one evaluator gives, without what was left out."""
    values: dict[str, list[float]] = {}
    first: dict[str, ScoreRecord] = {}
    for record in records_of(records, evaluator, variant):
        if tag is not None and tag not in record.tags:
            continue
        if record.value is not None and record.status in COUNTED:
            values.setdefault(record.case, []).append(record.value)
            first.setdefault(record.case, record)
    return {case: CaseScore(first[case], tuple(marks)) for case, marks in values.items()}


def records_of(records: Iterable[ScoreRecord], evaluator: str, variant: Variant = "service") -> Iterator[ScoreRecord]:
    """Yield what one evaluator says of one variant, with what was left out."""
    return (record for record in records if record.evaluator == evaluator and record.variant == variant)


def failure_counts(records: Iterable[ScoreRecord], evaluator: str) -> str:
    """Return what the service failed with and how often, such as 3 of `TimedOut`; nothing if it never did."""
    errors = Counter(record.error for record in records_of(records, evaluator) if record.status == "failed")
    return ", ".join(f"{count} × {error}" for error, count in errors.most_common())


def failure_note(records: Iterable[ScoreRecord], evaluator: str) -> str:
    """Return the same as the end of a sentence."""
    errors = failure_counts(records, evaluator)
    return f"; the service failed with {errors}" if errors else ""


def mean_score(scores: CaseScores, alpha: float) -> Interval:
    """Return the mean score: Wilson's bounds for plain yes and no, those of groups otherwise."""
    if all(score.is_plain for score in scores.values()):
        return wilson(sum(score.mean == 1 for score in scores.values()), len(scores), alpha)
    bounds = clustered_mean(_grouped({case: score.mean for case, score in scores.items()}, scores), alpha)
    return Interval(max(0.0, bounds.low), bounds.value, min(1.0, bounds.high))


def comparable_cases(before: CaseScores, after: CaseScores) -> list[str]:
    """Return the cases that both runs have, with the same question and expectation."""
    return [
        case
        for case, score in after.items()
        if case in before and before[case].record.case_hash == score.record.case_hash
    ]


def mean_change(before: CaseScores, after: CaseScores, cases: Sequence[str], alpha: float) -> Interval:
    """Return how much better `after` is: Tango's bounds for plain yes and no, those of groups otherwise."""
    if all(before[case].is_plain and after[case].is_plain for case in cases):
        gained = sum(after[case].mean > before[case].mean for case in cases)
        lost = sum(after[case].mean < before[case].mean for case in cases)
        return tango(gained, lost, len(cases), alpha)
    bounds = clustered_mean(score_changes(before, after, cases), alpha)
    return Interval(max(-1.0, bounds.low), bounds.value, min(1.0, bounds.high))


def score_changes(before: CaseScores, after: CaseScores, cases: Sequence[str]) -> Groups:
    """Return what changed in each case, by group."""
    return _grouped({case: after[case].mean - before[case].mean for case in cases}, after)


def distinct_trials(records: Iterable[ScoreRecord], variant: Variant = "service") -> list[ScoreRecord]:
    """Return one record for each time a case was asked, for what all evaluators see alike: time and cost."""
    once = {(record.case, record.repeat): record for record in records if record.variant == variant}
    return list(once.values())


def completed_trials(records: Iterable[ScoreRecord]) -> list[ScoreRecord]:
    """Return one record for each trial of the service that ended, well or badly, whatever a judge made of it."""
    return [trial for trial in distinct_trials(records) if trial.status not in LOST]


def _grouped(values: Mapping[str, float], scores: CaseScores) -> Groups:
    groups: dict[str, list[float]] = {}
    for case, value in values.items():
        groups.setdefault(scores[case].record.group, []).append(value)
    return list(groups.values())


def run_to_run_variance(now: CaseScores, before: CaseScores) -> float:
    """Return the variance of a case's difference between two runs, 3/n at least.

    With repeats it is what the repeats of a case vary by, for two runs; else what changed since the accepted run,
    which takes every true change for noise and so promises too little rather than too much.
    """
    least = 3 / len(now)
    repeats = max(len(score.values) for score in now.values())
    if repeats > 1:
        within = [_variance(score.values) for score in now.values() if len(score.values) > 1]
        return max(least, 2 * sum(within) / len(within) / repeats)
    cases = comparable_cases(before, now)
    flat = [change for group in score_changes(before, now, cases) for change in group]
    return max(least, pvariance(flat)) if flat else least


def _variance(values: Sequence[float]) -> float:
    """Return the variance of a sample; the exact fractions of `statistics.variance` take forty times as long."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
