"""The outbox: which notifications have yet to be sent, and which of them failed.

A notification follows from the row of its referral or its alarm, so it is due as soon as that is committed. A process
may be killed at any moment: another one, or the next, sends what this one did not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from chassis.clock import now, to_timestamp
from chassis.store.database import Database
from chassis.store.review_queue import CALLER_WAITS

IN_PROGRESS = timedelta(minutes=1)
"""The time for which an attempt belongs to one process. It is longer than any attempt may take."""
BACKOFF = (timedelta(seconds=10), timedelta(hours=1))
"""The pause after the first failure, which doubles with each further one, and the longest pause."""
BATCH = 20
type NotificationChannel = Literal["webhook", "email", "callback"]
type NotificationEvent = Literal["referral.opened", "referral.overdue", "quality_drift.found", "referral.answered"]

SUBJECTS_OF_EVENTS: Mapping[NotificationEvent, str] = {
    "referral.opened": f"referrals WHERE answered_at IS NULL AND {CALLER_WAITS} AND $1 <> ''",
    "referral.overdue": f"referrals WHERE answered_at IS NULL AND {CALLER_WAITS} AND due_at < $1",
    "quality_drift.found": "drift_alarms WHERE closed_at IS NULL AND $1 <> ''",
}
"""By event for the team, the table and the condition of what it is about."""
SUBJECTS_OF_CALLBACKS: Mapping[NotificationEvent, str] = {
    "referral.answered": "referrals WHERE answered_at IS NOT NULL AND callback_url IS NOT NULL AND $1 <> ''",
}
"""The same for callers who registered a callback."""
UNSENT = """sent_at IS NULL AND (channel = 'callback'
    OR EXISTS (SELECT 1 FROM referrals WHERE id = subject_id AND answered_at IS NULL)
    OR EXISTS (SELECT 1 FROM drift_alarms WHERE id = subject_id AND closed_at IS NULL))"""
"""Whether a notification has yet to be sent. When its referral is answered or its alarm closed, it is out of date."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to a team about a referral or an alarm.

    Args:
        id: The same for every attempt, so that a receiver can ignore a repetition.
        event: What happened.
        channel: How the team gets the message.
        subject_id: The referral or the alarm.
        attempts: How often it was tried, this time included.
        error: Why the last attempt failed.
    """

    id: str
    event: NotificationEvent
    channel: NotificationChannel
    subject_id: str
    attempts: int
    error: str | None


class Outbox:
    """The notifications in the database. Several processes may work on them at the same time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_missing(self, channels: Sequence[NotificationChannel]) -> None:
        """Add the notifications of what is open or overdue, each once."""
        moment = to_timestamp(now())
        for channel in channels:
            # The id is made of the event, the channel and the subject, so two processes that find the same referral add
            # one row, and a second run adds none.
            events = SUBJECTS_OF_CALLBACKS if channel == "callback" else SUBJECTS_OF_EVENTS
            for event, subjects in events.items():
                await self._database.execute(
                    "INSERT INTO notifications (id, event, channel, subject_id, attempts, next_attempt_at)"  # noqa: S608
                    f" SELECT '{event}/{channel}/' || id, '{event}', '{channel}', id, 0, $1 FROM {subjects}"
                    " ON CONFLICT (id) DO NOTHING",
                    moment,
                )

    async def take_due(self) -> list[Notification]:
        """Return notifications to send now. For a minute no other process gets them."""
        moment = now()
        rows = await self._database.fetch(
            f"SELECT * FROM notifications WHERE {UNSENT} AND next_attempt_at <= $1"  # noqa: S608
            " ORDER BY next_attempt_at LIMIT $2",
            to_timestamp(moment),
            BATCH,
        )
        taken: list[Notification] = []
        # Selected first and claimed one by one: the condition on `next_attempt_at` lets only one of several processes
        # win, without a lock that a killed process would leave behind.
        for row in rows:
            if await self._database.execute(
                "UPDATE notifications SET attempts = attempts + 1, next_attempt_at = $3"
                " WHERE id = $1 AND next_attempt_at = $2 AND sent_at IS NULL",
                row["id"],
                row["next_attempt_at"],
                to_timestamp(moment + IN_PROGRESS),
            ):
                event, channel, subject_id = row["event"], row["channel"], row["subject_id"]
                taken.append(Notification(row["id"], event, channel, subject_id, row["attempts"] + 1, row["error"]))
        return taken

    async def mark_sent(self, notification: Notification) -> None:
        """Record that a receiver has accepted a notification."""
        await self._database.execute(
            "UPDATE notifications SET sent_at = $2, error = NULL WHERE id = $1", notification.id, to_timestamp(now())
        )

    async def mark_failed(self, notification: Notification, error: str) -> None:
        """Record why an attempt failed, and when to try again."""
        first, longest = BACKOFF
        # The exponent is bounded, because a timedelta overflows after two days of failures.
        pause = min(first * 2 ** min(notification.attempts - 1, 20), longest)
        await self._database.execute(
            "UPDATE notifications SET error = $2, next_attempt_at = $3 WHERE id = $1",
            notification.id,
            error,
            to_timestamp(now() + pause),
        )

    async def failing(self) -> list[Notification]:
        """Return the unsent notifications whose last attempt failed."""
        rows = await self._database.fetch(
            f"SELECT * FROM notifications WHERE {UNSENT} AND error IS NOT NULL ORDER BY id"  # noqa: S608
        )
        return [
            Notification(row["id"], row["event"], row["channel"], row["subject_id"], row["attempts"], row["error"])
            for row in rows
        ]
