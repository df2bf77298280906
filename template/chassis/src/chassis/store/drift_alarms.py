"""The alarms of quality drift: raised by the service, closed by a person."""

import secrets
from dataclasses import dataclass
from datetime import date, datetime

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import NotFound
from chassis.store.database import Database, Row

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

    def __init__(self, database: Database) -> None:
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
