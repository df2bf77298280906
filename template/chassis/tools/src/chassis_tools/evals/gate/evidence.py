"""The records of a run, put together by case: what every rule looks at."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chassis_tools.evals.records import Arm, Record
from chassis_tools.evals.stats.intervals import Groups, Interval, clustered_mean, wilson
from chassis_tools.evals.stats.paired import tango

COUNTED = frozenset({"ok", "fail_service"})
"""The records that have a value."""
LOST = frozenset({"infra", "skipped"})
"""The trials that say nothing about the service."""


@dataclass(frozen=True, slots=True)
class Score:
    """What one evaluator says of one case, over all repeats."""

    record: Record
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Return the mean over the repeats."""
        return sum(self.values) / len(self.values)

    @property
    def is_plain(self) -> bool:
        """Return whether it is a single yes or no."""
        return len(self.values) == 1 and self.values[0] in {0.0, 1.0} and self.record.group == self.record.case


type Scores = Mapping[str, Score]
"""By case."""


def scores_of(records: Iterable[Record], evaluator: str, arm: Arm = "service", tag: str | None = None) -> Scores:
    """Return the scores that one evaluator gives, without what was left out."""
    values: dict[str, list[float]] = {}
    first: dict[str, Record] = {}
    for record in said_by(records, evaluator, arm):
        if tag is not None and tag not in record.tags:
            continue
        if record.value is not None and record.status in COUNTED:
            values.setdefault(record.case, []).append(record.value)
            first.setdefault(record.case, record)
    return {case: Score(first[case], tuple(marks)) for case, marks in values.items()}


def said_by(records: Iterable[Record], evaluator: str, arm: Arm = "service") -> Iterator[Record]:
    """Yield what one evaluator says of one arm, with what was left out."""
    return (record for record in records if record.evaluator == evaluator and record.arm == arm)


def errors_of(records: Iterable[Record], evaluator: str) -> str:
    """Return what the service failed with and how often, such as 3 of `TimedOut`; nothing if it never did."""
    errors = Counter(record.error for record in said_by(records, evaluator) if record.status == "fail_service")
    return ", ".join(f"{count} × {error}" for error, count in errors.most_common())


def crashes(records: Iterable[Record], evaluator: str) -> str:
    """Return the same as the end of a sentence."""
    errors = errors_of(records, evaluator)
    return f"; the service failed with {errors}" if errors else ""


def rate(scores: Scores, alpha: float) -> Interval:
    """Return the mean score: Wilson's bounds for plain yes and no, those of groups otherwise."""
    if all(score.is_plain for score in scores.values()):
        return wilson(sum(score.mean == 1 for score in scores.values()), len(scores), alpha)
    bounds = clustered_mean(_grouped({case: score.mean for case, score in scores.items()}, scores), alpha)
    return Interval(max(0.0, bounds.low), bounds.value, min(1.0, bounds.high))


def comparable(before: Scores, after: Scores) -> list[str]:
    """Return the cases that both runs have, with the same question and expectation."""
    return [
        case
        for case, score in after.items()
        if case in before and before[case].record.case_hash == score.record.case_hash
    ]


def difference(before: Scores, after: Scores, cases: Sequence[str], alpha: float) -> Interval:
    """Return how much better `after` is: Tango's bounds for plain yes and no, those of groups otherwise."""
    if all(before[case].is_plain and after[case].is_plain for case in cases):
        gained = sum(after[case].mean > before[case].mean for case in cases)
        lost = sum(after[case].mean < before[case].mean for case in cases)
        return tango(gained, lost, len(cases), alpha)
    bounds = clustered_mean(changes(before, after, cases), alpha)
    return Interval(max(-1.0, bounds.low), bounds.value, min(1.0, bounds.high))


def changes(before: Scores, after: Scores, cases: Sequence[str]) -> Groups:
    """Return what changed in each case, by group."""
    return _grouped({case: after[case].mean - before[case].mean for case in cases}, after)


def trials_of(records: Iterable[Record], arm: Arm = "service") -> list[Record]:
    """Return one record for each time a case was asked, for what all evaluators see alike: time and cost."""
    once = {(record.case, record.repeat): record for record in records if record.arm == arm}
    return list(once.values())


def answered(records: Iterable[Record]) -> list[Record]:
    """Return one record for each trial of the service that ended, well or badly, whatever a judge made of it."""
    return [trial for trial in trials_of(records) if trial.status not in LOST]


def _grouped(values: Mapping[str, float], scores: Scores) -> Groups:
    groups: dict[str, list[float]] = {}
    for case, value in values.items():
        groups.setdefault(scores[case].record.group, []).append(value)
    return list(groups.values())
