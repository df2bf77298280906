"""Scores by case: what the rules and the report compute from the records of a run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chassis_tools.evals.records import ScoreRecord, Variant
from chassis_tools.evals.statistics import Groups, Interval, clustered_mean, effective_count, tango, wilson

COUNTED = frozenset({"ok", "failed"})
"""The records that have a value."""
UNINFORMATIVE = frozenset({"outage", "skipped"})
"""The trials that say nothing about the service."""


@dataclass(frozen=True, slots=True)
class CaseScore:
    """The scores that one evaluator gives to one case, one for each repeat.

    Args:
        record: The first record, for what all repeats have in common.
        values: From 0 (wrong) to 1 (right).
    """

    record: ScoreRecord
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Return the mean over the repeats."""
        return sum(self.values) / len(self.values)

    @property
    def is_binary(self) -> bool:
        """Return whether it is a single pass or fail, independent of other cases."""
        return len(self.values) == 1 and self.values[0] in {0.0, 1.0} and self.record.group == self.record.case


type CaseScores = Mapping[str, CaseScore]
"""Scores by the id of the case."""


def scores_of(
    records: Iterable[ScoreRecord], evaluator: str, variant: Variant = "service", tag: str | None = None
) -> CaseScores:
    """Return the scores of one evaluator, without excluded trials; those with a tag if one is given."""
    values: dict[str, list[float]] = {}
    first: dict[str, ScoreRecord] = {}
    for record in records_of(records, evaluator, variant):
        if tag is not None and tag not in record.tags:
            continue
        if record.value is not None and record.status in COUNTED:
            values.setdefault(record.case, []).append(record.value)
            first.setdefault(record.case, record)
    return {case: CaseScore(first[case], tuple(repeats)) for case, repeats in values.items()}


def records_of(records: Iterable[ScoreRecord], evaluator: str, variant: Variant = "service") -> Iterator[ScoreRecord]:
    """Yield the records of one evaluator, excluded trials included."""
    return (record for record in records if record.evaluator == evaluator and record.variant == variant)


def failure_counts(records: Iterable[ScoreRecord], evaluator: str) -> str:
    """Return the errors of failed calls and how often each occurred, such as 3 of `TimedOut`."""
    errors = Counter(record.error for record in records_of(records, evaluator) if record.status == "failed")
    return ", ".join(f"{count} × {error}" for error, count in errors.most_common())


def failure_note(records: Iterable[ScoreRecord], evaluator: str) -> str:
    """Return the errors of failed calls as the end of a sentence; empty if no call failed."""
    errors = failure_counts(records, evaluator)
    return f"; the service failed with {errors}" if errors else ""


def mean_score(scores: CaseScores, alpha: float) -> Interval:
    """Return the mean score: with Wilson's interval if every score is a pass or a fail, else clustered by group."""
    if all(score.is_binary for score in scores.values()):
        return wilson(sum(score.mean == 1 for score in scores.values()), len(scores), alpha)
    bounds = clustered_mean(_by_group({case: score.mean for case, score in scores.items()}, scores), alpha)
    return Interval(max(0.0, bounds.low), bounds.value, min(1.0, bounds.high))


def answers_by_group(scores: CaseScores) -> Groups:
    """Return the score of every answer, by group; the repeats of one case are in one group."""
    groups: dict[str, list[float]] = {}
    for score in scores.values():
        groups.setdefault(score.record.group, []).extend(score.values)
    return list(groups.values())


def comparable_cases(before: CaseScores, after: CaseScores) -> list[str]:
    """Return the cases that both runs have with the same question and the same expected answer."""
    return [
        case
        for case, score in after.items()
        if case in before and before[case].record.case_hash == score.record.case_hash
    ]


def mean_change(before: CaseScores, after: CaseScores, cases: Sequence[str], alpha: float) -> Interval:
    """Return how much better `after` is: with Tango's interval for passes and fails, else clustered by group."""
    if all(before[case].is_binary and after[case].is_binary for case in cases):
        gained = sum(after[case].mean > before[case].mean for case in cases)
        lost = sum(after[case].mean < before[case].mean for case in cases)
        return tango(gained, lost, len(cases), alpha)
    bounds = clustered_mean(score_changes(before, after, cases), alpha)
    return Interval(max(-1.0, bounds.low), bounds.value, min(1.0, bounds.high))


def score_changes(before: CaseScores, after: CaseScores, cases: Sequence[str]) -> Groups:
    """Return the change of each case, by group."""
    return _by_group({case: after[case].mean - before[case].mean for case in cases}, after)


def run_to_run_variance(after: CaseScores, before: CaseScores) -> float:
    """Return the variance of a case's change between two runs of the same service, 3/n at least.

    With repeats it follows from how much the repeats vary. Without, it is the variance of the changes since the
    accepted run, which counts every real change as variance and so promises too little rather than too much. Cases of
    one group that are right or wrong together vary more than as many independent ones: their sum is what counts.
    """
    floor = 3 / len(after)
    repeats = max(len(score.values) for score in after.values())
    if repeats > 1:
        by_group: dict[str, list[tuple[float, ...]]] = {}
        for score in after.values():
            if len(score.values) == repeats:  # the others lost a repeat to an outage
                by_group.setdefault(score.record.group, []).append(score.values)
        sums = [[sum(values) for values in zip(*cases, strict=True)] for cases in by_group.values()]
        return max(floor, 2 * sum(map(_variance, sums)) / sum(map(len, by_group.values())) / repeats)
    changes = score_changes(before, after, comparable_cases(before, after))
    count = sum(map(len, changes))
    mean = sum(map(sum, changes)) / max(count, 1)
    return max(floor, sum((sum(group) - len(group) * mean) ** 2 for group in changes) / max(count, 1))


def design_effect(scores: CaseScores) -> float:
    """Return how many cases tell as much as one independent case: 1 without groups."""
    means = _by_group({case: score.mean for case, score in scores.items()}, scores)
    return len(scores) / effective_count(means)


def distinct_trials(records: Iterable[ScoreRecord], variant: Variant = "service") -> list[ScoreRecord]:
    """Return one record for each trial, for what does not depend on the evaluator: time and cost."""
    by_trial = {(record.case, record.repeat): record for record in records if record.variant == variant}
    return list(by_trial.values())


def completed_trials(records: Iterable[ScoreRecord]) -> list[ScoreRecord]:
    """Return one record for each trial of the service that was answered or failed."""
    return [trial for trial in distinct_trials(records) if trial.status not in UNINFORMATIVE]


def _by_group(values: Mapping[str, float], scores: CaseScores) -> Groups:
    groups: dict[str, list[float]] = {}
    for case, value in values.items():
        groups.setdefault(scores[case].record.group, []).append(value)
    return list(groups.values())


def _variance(values: Sequence[float]) -> float:
    # statistics.variance computes exact fractions, which takes forty times as long.
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
