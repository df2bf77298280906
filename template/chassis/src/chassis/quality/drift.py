"""Quality drift: whether production answers worse than it used to, since when, and what else changed at that time.

Not to be confused with edited files of the chassis, which `chassis status` reports. The state is the daily counts and
the alarms in the database; whatever is printed follows from them, so replicas agree and a restart forgets nothing. With
each day's counts stand short digests of what ran, which show what else changed.
"""

import hashlib
import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, cast

from chassis.clock import now
from chassis.config.constraints import Constraints
from chassis.config.project import Project
from chassis.quality.detectors import DayRate, RateReport, ShapeReport, compare_shapes, detect_rise, reference_days
from chassis.store.database import Database
from chassis.store.quality_history import (
    DailyCount,
    DriftAlarm,
    DriftAlarms,
    Measure,
    first_days,
    read_counts,
    tasks_with_counts,
    totals_of,
)
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments

CHECK_SECONDS = 600.0
HISTORY = timedelta(days=365)
"""How far a check looks back, which bounds its work. A reference is at most that old."""
SHAPE_DAYS = timedelta(days=28)
"""The most days whose distribution is compared with that of the reference; the last 7 if they are enough."""
CAUSE_DAYS = timedelta(days=7)
"""How long before the most likely day a cause may have begun."""

MAIN_FALSE_ALARM_DAYS, OTHER_FALSE_ALARM_DAYS = 365.0, 10_000.0
"""The mean number of days between false alarms of the main signal, and of each other one.

False alarms of several signals add up, and people judge few answers, so the main signal gets most of the false alarms
that are acceptable, and with them the shortest delay. It is the first of the signals that people judge and that have a
reference and are still observed.
"""

type SignalName = Literal["samples", "reviews", "feedback", "low_confidence", "fallbacks"]
type SignalState = Literal["collecting", "steady", "rising", "alarm"]


@dataclass(frozen=True, slots=True)
class Signal:
    """A failure rate that is watched.

    Args:
        name: Its name in metrics and on the command line.
        failures: What is counted as a failure: a measure and its values.
        observations: What is counted at all.
        what: What failed, as in "18 of 120 reviewed drafts were wrong".
        judged: Whether people judge each observation, so that there are only a few per day.
    """

    name: SignalName
    failures: tuple[Measure, frozenset[str]]
    observations: tuple[Measure, frozenset[str]]
    what: str
    judged: bool


CALLS: tuple[Measure, frozenset[str]] = "outcome", frozenset({"answered", "referred"})
FALLBACKS = frozenset({"models_failed", "budget_exhausted", "database_down"})
VERDICTS = frozenset({"pass", "fail"})
SIGNALS = (
    # The random sample comes first: it is the only estimate of quality that nothing has selected.
    Signal(
        "samples",
        ("sample", frozenset({"fail"})),
        ("sample", VERDICTS),
        "answers in the random sample failed",
        judged=True,
    ),
    Signal("reviews", ("review", frozenset({"fail"})), ("review", VERDICTS), "reviewed drafts failed", judged=True),
    Signal(
        "feedback",
        ("feedback", frozenset({"negative"})),
        ("feedback", frozenset({"positive", "negative"})),
        "ratings by callers were negative",
        judged=True,
    ),
    Signal(
        "low_confidence",
        ("fallback_reason", frozenset({"low_confidence"})),
        CALLS,
        "calls had no draft of enough confidence",
        judged=False,
    ),
    Signal("fallbacks", ("fallback_reason", FALLBACKS), CALLS, "calls needed a fallback", judged=False),
)
SHAPES: tuple[Measure, ...] = ("question_length", "answer_length", "confidence")
VERSIONS: tuple[Measure, ...] = ("release", "code", "prompts", "constraints", "model")
NEXT_STEPS: Mapping[str, str] = {
    "release": "compare both releases with `make evals`, and roll back if the old one is better",
    "code": "compare both releases with `make evals`, and roll back if the old one is better",
    "prompts": "run `make evals` with the old and the new prompts, and restore the old ones if they are better",
    "constraints": "review the change of constraints.toml, above all of [[models]] and [quality]",
    "model": "ask for the former model by its dated id in constraints.toml, and run `make evals` with each",
    "input mix": "review some of the new questions, and add cases for what they have in common",
}
UNKNOWN_CAUSE = (
    "unknown: no release, prompt, model, constraint or length of questions changed at that time",
    "look for what lies outside, such as documents, tools, or a model that its vendor changed under the same name",
)
"""What is said if no cause is found, and what to do next."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What may have caused a change: something that first appeared at about the same time."""

    kind: str
    details: str


@dataclass(frozen=True, slots=True)
class SignalReport:
    """One failure rate, what its detector says, its open alarm, and what may have caused that."""

    signal: Signal
    rate: RateReport
    observed: int
    last_seen: date | None
    alarm: DriftAlarm | None
    causes: Sequence[Cause]

    @property
    def state(self) -> SignalState:
        """Return the state in one word."""
        if self.alarm or self.rate.evidence >= 1:
            return "alarm"
        if self.rate.reference is None:
            return "collecting"
        return "rising" if self.rate.evidence >= 0.5 else "steady"  # noqa: PLR2004 - half of the way to an alarm

    @property
    def likely_causes(self) -> list[tuple[str, str]]:
        """Return what may have caused the change, each with what to do next, in words."""
        causes = [(f"{cause.kind} {cause.details}", NEXT_STEPS[cause.kind]) for cause in self.causes]
        return causes or [UNKNOWN_CAUSE]

    @property
    def figures(self) -> str:
        """Return the figures in a sentence."""
        what = self.signal.what
        if self.rate.reference is None:
            return f"observed so far: {self.observed}, which is too few for a reference"
        reference = _share(*self.rate.reference)
        if self.rate.since is None:
            return f"{reference} {what} in the reference, and there is no sign of a rise"
        return f"{_share(*self.rate.recent)} {what} since {self.rate.since}, {reference} in the reference"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The state of one task: its failure rates, and the shapes of its questions and answers that can be compared."""

    task: str
    signals: Sequence[SignalReport]
    shapes: Mapping[Measure, ShapeReport | None]


class DriftWatch:
    """Looks for quality drift.

    Args:
        database: Has the daily counts and the alarms.
        task: The task to look at. Default: each that has counts, to find which takes longer.
    """

    def __init__(self, database: Database, task: str | None = None) -> None:
        self._database, self._alarms, self._task = database, DriftAlarms(database), task

    async def check(self, instruments: Instruments) -> None:
        """Raise an alarm for each rate that has risen, and set the gauges.

        Raises:
            DatabaseUnavailable: The next check finds the same.
        """
        for report in await self.reports():
            for signal in report.signals:
                if signal.alarm is None and signal.rate.evidence >= 1 and signal.rate.since:
                    await self._alarms.raise_alarm(report.task, signal.signal.name, signal.rate.since, signal.figures)
                labels = {names.TASK: report.task, names.SIGNAL: signal.signal.name}
                instruments.drift_evidence.set(signal.rate.evidence, labels)
                instruments.drift_alarms.set(int(signal.state == "alarm"), labels)
        instruments.drift_last_check.set(now().timestamp())

    async def reports(self) -> list[DriftReport]:
        """Return the state of each task.

        Raises:
            DatabaseUnavailable: The database cannot be read.
        """
        alarms = await self._alarms.all_alarms()
        start = now().date() - HISTORY
        tasks = [self._task] if self._task else await tasks_with_counts(self._database, start)
        return [await self._report(task, start, alarms) for task in tasks]

    async def _report(self, task: str, start: date, alarms: Iterable[DriftAlarm]) -> DriftReport:
        mine = [alarm for alarm in alarms if alarm.task == task]
        measures: set[Measure] = {
            measure for signal in SIGNALS for measure in (signal.failures[0], signal.observations[0])
        }
        counts = await read_counts(self._database, task, measures, start)
        shapes = await self._shapes(task, start, counts, mine)
        firsts = await first_days(self._database, task, VERSIONS, start)
        series = {signal: _signal_days(signal, counts, mine) for signal in SIGNALS}
        main = next((signal for signal, days in series.items() if signal.judged and _is_watched(days)), None)
        signals = [
            _signal_report(
                signal,
                days,
                MAIN_FALSE_ALARM_DAYS if signal is main else OTHER_FALSE_ALARM_DAYS,
                mine,
                firsts,
                shapes,
            )
            for signal, days in series.items()
        ]
        return DriftReport(task, signals, shapes)

    async def _shapes(
        self, task: str, start: date, counts: Iterable[DailyCount], alarms: Sequence[DriftAlarm]
    ) -> dict[Measure, ShapeReport | None]:
        accepted = _after([alarm for alarm in alarms if alarm.accepted])
        calls = _rates(counts, CALLS, CALLS, accepted)
        reference_end = calls[reference_days(calls) - 1].day if reference_days(calls) else None
        if reference_end is None:
            return dict.fromkeys(SHAPES)
        today = now().date()
        first = max(accepted or start, start)
        before = await read_counts(self._database, task, SHAPES, first, reference_end)
        earliest = max(reference_end + timedelta(days=1), today - SHAPE_DAYS)
        present = await read_counts(self._database, task, SHAPES, earliest, today - timedelta(days=1))
        return {
            measure: compare_shapes(totals_of(before, measure), _latest_bins(present, measure, today))
            for measure in SHAPES
        }


def _signal_days(signal: Signal, counts: Iterable[DailyCount], alarms: Iterable[DriftAlarm]) -> list[DayRate]:
    accepted = [alarm for alarm in alarms if alarm.signal == signal.name and alarm.accepted]
    return _rates(counts, signal.failures, signal.observations, _after(accepted))


def _is_watched(days: Sequence[DayRate]) -> bool:
    return reference_days(days) > 0 and days[-1].day >= now().date() - SHAPE_DAYS


def _signal_report(
    signal: Signal,
    days: Sequence[DayRate],
    mean_days: float,
    alarms: Sequence[DriftAlarm],
    firsts: Sequence[tuple[Measure, str, date]],
    shapes: Mapping[Measure, ShapeReport | None],
) -> SignalReport:
    mine = [alarm for alarm in alarms if alarm.signal == signal.name]
    closed = [alarm.closed_at.date() for alarm in mine if alarm.closed_at]
    rate = detect_rise(days, mean_days, max(closed, default=None))
    alarm = next((alarm for alarm in mine if alarm.closed_at is None), None)
    since = alarm.changed_on if alarm else rate.since
    causes = _causes(since, firsts, shapes) if since and (alarm or rate.evidence >= 1) else []
    observed = sum(day.total for day in days)
    return SignalReport(signal, rate, observed, days[-1].day if days else None, alarm, causes)


def _rates(
    counts: Iterable[DailyCount],
    failures: tuple[Measure, frozenset[str]],
    observations: tuple[Measure, frozenset[str]],
    after: date | None,
) -> list[DayRate]:
    """Return the failures of each day that has observations, oldest first."""
    failed, total = Counter[date](), Counter[date]()
    for count in counts:
        if after is not None and count.day <= after:
            continue
        for (measure, values), sums in ((failures, failed), (observations, total)):
            if count.measure == measure and count.value in values:
                sums[count.day] += count.count
    # A verdict that was given before midnight and undone after it may leave less than nothing.
    return [DayRate(day, min(max(failed[day], 0), total[day]), total[day]) for day in sorted(total) if total[day] > 0]


def _after(alarms: Sequence[DriftAlarm]) -> date | None:
    """Return the day on which the last of these alarms was closed."""
    return max((alarm.closed_at.date() for alarm in alarms if alarm.closed_at), default=None)


def _latest_bins(counts: Sequence[DailyCount], measure: Measure, today: date) -> Counter[str]:
    """Return the bins of the last 7 whole days, or of up to 28 if those have too few observations."""
    for days in (7, 14, SHAPE_DAYS.days):
        recent = totals_of((count for count in counts if count.day >= today - timedelta(days=days)), measure)
        if compare_shapes(recent, recent) is not None:
            break
    return recent


def _causes(
    since: date, firsts: Sequence[tuple[Measure, str, date]], shapes: Mapping[Measure, ShapeReport | None]
) -> list[Cause]:
    oldest: dict[Measure, date] = {}
    for measure, _, first in firsts:
        oldest[measure] = min(first, oldest.get(measure, first))
    causes = [
        Cause(measure, f"{value}, first used on {first}")
        for measure, value, first in firsts
        if since - CAUSE_DAYS <= first <= since + timedelta(days=1) and first > oldest[measure]
    ]
    shape = shapes.get("question_length")
    if shape and shape.moved:
        causes.append(
            Cause("input mix", f"the median question has {shape.now:g} characters instead of {shape.before:g}")
        )
    return causes


def _share(failures: int, total: int) -> str:
    return f"{failures} of {total} ({failures / total:.1%})" if total else "none"


DIGITS = 8
TEXT_FILES = frozenset({".py", ".md", ".txt", ".j2", ".jinja", ".jinja2", ".toml", ".yaml", ".yml", ".json"})
MAX_BYTES = 1_000_000
"""A larger file is data, and is left out."""


def running_versions(project: Project, constraints: Constraints) -> Mapping[Measure, str]:
    """Return the release, and digests of the team's code, its prompts and its constraints.

    Prompts are the files of the team's package whose path contains `prompt`.
    """
    files = dict(_package_files(project))
    return {
        "release": project.version,
        "code": _digest(file.read_bytes() for path, file in files.items() if "prompt" not in path),
        "prompts": _digest(file.read_bytes() for path, file in files.items() if "prompt" in path),
        "constraints": _digest([json.dumps(constraints.model_dump(), default=_plain, sort_keys=True).encode()]),
    }


def _package_files(project: Project) -> Iterator[tuple[str, Path]]:
    """Yield the text files of the package that contains the task, by their path in it."""
    spec = importlib.util.find_spec(project.task_path.partition(":")[0].partition(".")[0])
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).rglob("*")):
            if file.suffix in TEXT_FILES and file.is_file() and file.stat().st_size <= MAX_BYTES:
                yield file.relative_to(folder).as_posix(), file


def _plain(value: object) -> object:
    """Return what JSON can hold, and is the same in every process."""
    return sorted(map(str, cast("frozenset[object]", value))) if isinstance(value, frozenset) else str(value)


def _digest(contents: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:DIGITS]
