"""The history of quality: how many calls, verdicts and ratings there were per day (UTC) and task, and the drift alarms.

Whatever looks back over weeks reads the daily counts: `[success]`, quality drift and the status page. No text is kept.
Calls are counted in memory and added to the table in the background. What happens in a transaction, such as a review,
is counted in it.
"""

import math
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Literal

import structlog

from chassis.clock import now, repeated, to_timestamp
from chassis.errors import DatabaseUnavailable, NotFound
from chassis.store.database import Connection, Database, Row

type Measure = Literal[
    "outcome",
    "answered_by",
    "fallback_reason",
    "cost",
    "seconds",
    "question_length",
    "answer_length",
    "confidence",
    "review",
    "sample",
    "feedback",
    "release",
    "code",
    "prompts",
    "constraints",
    "model",
]
"""What is counted. `chassis/handbook/observability.md` lists the values of each."""

SAVE_SECONDS = 15.0
"""The interval at which calls are added to the table, and so how much a killed process loses."""
MAX_WAITING = 10_000
"""The most numbers to keep in memory. A day has about a hundred, so only months without a database reach it."""
COST_UNIT = "nano_usd"
STEPS_PER_DOUBLING = 4
"""Bins of lengths and durations grow by 19 %, so what is read from them is off by at most that."""
ADDING = """INSERT INTO daily_counts (day, task, measure, value, count) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (task, measure, day, value) DO UPDATE SET count = daily_counts.count + excluded.count"""


@dataclass(frozen=True, slots=True)
class DailyCount:
    """How often a measure had a value on one day (UTC)."""

    day: date
    task: str
    measure: Measure
    value: str
    count: int


class DailyCounts:
    """The counts of this process that are not in the table yet.

    Args:
        versions: What this process runs, which is counted with each call: the release, and digests of the rest.
    """

    def __init__(self, versions: Mapping[Measure, str] | None = None) -> None:
        self.versions = versions or {}
        self._waiting: Counter[tuple[str, str, Measure, str]] = Counter()

    def add(self, task: str, values: Iterable[tuple[Measure, str]], amount: int = 1) -> None:
        """Count the values that measures had. The table has them after at most 15 seconds."""
        day, waiting = now().date().isoformat(), self._waiting
        for measure, value in values:
            key = day, task, measure, value
            if key in waiting or len(waiting) < MAX_WAITING:
                waiting[key] += amount

    @asynccontextmanager
    async def saved_to(self, database: Database) -> AsyncGenerator[None]:
        """Add the counts to the table every 15 seconds, and when the context ends."""
        try:
            async with repeated("daily counts", SAVE_SECONDS, partial(self.save, database)):
                yield
        finally:
            with suppress(DatabaseUnavailable):
                await self.save(database)

    async def save(self, database: Database) -> None:
        """Add to the table what was counted since the last time.

        Raises:
            DatabaseUnavailable: The next time adds it.
        """
        if not self._waiting:
            return
        saving, self._waiting = self._waiting, Counter()
        try:
            async with database.transaction() as tx:
                for key, count in sorted(saving.items()):  # in one order, so that two replicas cannot block each other
                    await tx.execute(ADDING, *key, count)
        except BaseException:
            self._waiting.update(saving)
            raise


async def add_count(
    connection: Connection, task: str, measure: Measure, value: str, amount: int = 1, day: date | None = None
) -> None:
    """Count something in the transaction in which it happens.

    Args:
        connection: The transaction.
        task: The name of the task.
        measure: What is counted.
        value: Its value.
        amount: -1 takes back what was counted before.
        day: The day (UTC) on which it happened. Default: today.
    """
    await connection.execute(ADDING, (day or now().date()).isoformat(), task, measure, value, amount)


async def read_counts(
    database: Database, task: str, measures: Iterable[Measure], since: date, until: date | None = None
) -> list[DailyCount]:
    """Return the counts of some measures of a task from a day on, and up to another one, the oldest first."""
    wanted = sorted(measures)
    numbers = ", ".join(f"${number}" for number in range(4, 4 + len(wanted)))
    rows = await database.fetch(
        "SELECT day, measure, value, count FROM daily_counts"  # noqa: S608 - only numbers of parameters
        f" WHERE task = $1 AND day >= $2 AND day <= $3 AND measure IN ({numbers}) ORDER BY day, measure, value",
        task,
        since.isoformat(),
        (until or date.max).isoformat(),
        *wanted,
    )
    return [
        DailyCount(date.fromisoformat(row["day"]), task, row["measure"], row["value"], row["count"]) for row in rows
    ]


async def tasks_with_counts(database: Database, since: date) -> list[str]:
    """Return the names of the tasks that have counts from a day on."""
    rows = await database.fetch(
        "SELECT DISTINCT task FROM daily_counts WHERE day >= $1 ORDER BY task", since.isoformat()
    )
    return [row["task"] for row in rows]


async def first_days(
    database: Database, task: str, measures: Iterable[Measure], since: date
) -> list[tuple[Measure, str, date]]:
    """Return each value that some measures had from a day on, with the first day of that, the latest first."""
    wanted = sorted(measures)
    numbers = ", ".join(f"${number}" for number in range(3, 3 + len(wanted)))
    rows = await database.fetch(
        "SELECT measure, value, MIN(day) AS first FROM daily_counts"  # noqa: S608 - only numbers of parameters
        f" WHERE task = $1 AND day >= $2 AND measure IN ({numbers})"
        " GROUP BY measure, value ORDER BY first DESC, measure, value",
        task,
        since.isoformat(),
        *wanted,
    )
    return [(row["measure"], row["value"], date.fromisoformat(row["first"])) for row in rows]


def totals_of(counts: Iterable[DailyCount], measure: Measure) -> Counter[str]:
    """Return how often a measure had each of its values on all days together."""
    totals = Counter[str]()
    for count in counts:
        if count.measure == measure:
            totals[count.value] += count.count
    return totals


def bin_of(number: float) -> str:
    """Return the bin of a length or a duration: its upper bound, with four digits. Each is 19 % above the last."""
    if number <= 0:
        return "0"
    return f"{2 ** (math.ceil(math.log2(number) * STEPS_PER_DOUBLING) / STEPS_PER_DOUBLING):.4g}"


def bin_of_confidence(confidence: float) -> str:
    """Return the bin of a confidence, whose upper bound is a multiple of 0.05."""
    return f"{math.ceil(round(confidence * 20, 6)) / 20:.2f}"


log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlarm:
    """A change of quality that a detector found. Times are UTC.

    Args:
        id: `d_` and 16 hexadecimal digits.
        task: The name of the task.
        signal: Which rate has risen.
        raised_at: When it was found.
        changed_on: The most likely first day of the change.
        summary: The figures, in one sentence.
        closed_at: When a person closed it, or None while it is open.
        accepted: Whether that person accepted the new level, so that the reference starts anew.
    """

    id: str
    task: str
    signal: str
    raised_at: datetime
    changed_on: date
    summary: str
    closed_at: datetime | None
    accepted: bool


class DriftAlarms:
    """The alarms in the database. There is at most one open alarm of each signal of a task."""

    def __init__(self, database: Connection) -> None:
        self._database = database

    async def raise_alarm(self, task: str, signal: str, changed_on: date, summary: str) -> None:
        """Raise an alarm if none of this signal is open. Several replicas may do that at the same time."""
        raised = await self._database.execute(
            "INSERT INTO drift_alarms (id, task, signal, raised_at, changed_on, summary)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            "d_" + secrets.token_hex(8),
            task,
            signal,
            to_timestamp(now()),
            changed_on.isoformat(),
            summary,
        )
        if raised:
            log.warning("quality_drift.found", task=task, signal=signal, changed_on=changed_on.isoformat())

    async def all_alarms(self) -> list[DriftAlarm]:
        """Return all alarms, the oldest first."""
        return [
            _alarm_of(row) for row in await self._database.fetch("SELECT * FROM drift_alarms ORDER BY raised_at, id")
        ]

    async def open_alarms(self) -> list[DriftAlarm]:
        """Return the alarms that no person has closed, the oldest first."""
        return [alarm for alarm in await self.all_alarms() if alarm.closed_at is None]

    async def find(self, alarm_id: str) -> DriftAlarm | None:
        """Return the alarm with this id, or None if there is none."""
        rows = await self._database.fetch("SELECT * FROM drift_alarms WHERE id = $1", alarm_id)
        return _alarm_of(rows[0]) if rows else None

    async def close(self, alarm_id: str, *, accept: bool) -> None:
        """Close an alarm. Its signal is watched again from tomorrow (UTC) on.

        Args:
            alarm_id: The alarm.
            accept: Whether the new level is the reference from now on.

        Raises:
            NotFound: No alarm with this id is open.
        """
        if not await self._database.execute(
            "UPDATE drift_alarms SET closed_at = $2, accepted = $3 WHERE id = $1 AND closed_at IS NULL",
            alarm_id,
            to_timestamp(now()),
            int(accept),
        ):
            raise NotFound(f"No alarm {alarm_id!r} is open; `uv run chassis drift` lists the open ones")


def _alarm_of(row: Row) -> DriftAlarm:
    return DriftAlarm(
        id=row["id"],
        task=row["task"],
        signal=row["signal"],
        raised_at=datetime.fromisoformat(row["raised_at"]),
        changed_on=date.fromisoformat(row["changed_on"]),
        summary=row["summary"],
        closed_at=datetime.fromisoformat(row["closed_at"]) if row["closed_at"] else None,
        accepted=bool(row["accepted"]),
    )
