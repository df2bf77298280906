"""The outbox: which notifications about referrals have yet to be sent, and which of them failed.

A notification follows from the row of its referral, so it is due as soon as the referral is committed. A process may be
killed at any moment: another one, or the next, sends what this one did not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from chassis.clock import now, to_timestamp
from chassis.store.database import Database

IN_PROGRESS = timedelta(minutes=1)
"""The time for which an attempt belongs to one process. It is longer than any attempt may take."""
BACKOFF = (timedelta(seconds=10), timedelta(hours=1))
"""The pause after the first failure, which doubles with each further one, and the longest pause."""
BATCH = 20

type NotificationChannel = Literal["webhook", "email"]
type NotificationEvent = Literal["referral.opened", "referral.overdue"]


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to a team about a referral.

    Args:
        id: The same for every attempt, so that a receiver can ignore a repetition.
        event: What happened.
        channel: How the team gets the message.
        referral_id: The ticket.
        attempts: How often it was tried, this time included.
        error: Why the last attempt failed.
    """

    id: str
    event: NotificationEvent
    channel: NotificationChannel
    referral_id: str
    attempts: int
    error: str | None


class Outbox:
    """The notifications in the database. Several processes may work on them at the same time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_missing(self, channels: Sequence[NotificationChannel]) -> None:
        """Add the notifications of referrals that are open or overdue, each once."""
        moment = to_timestamp(now())
        for channel in channels:
            for event, condition in (("referral.opened", "$1 <> ''"), ("referral.overdue", "due_at < $1")):
                await self._database.execute(
                    "INSERT INTO notifications (id, event, channel, referral_id, attempts, next_attempt_at)"  # noqa: S608
                    f" SELECT '{event}/{channel}/' || id, '{event}', '{channel}', id, 0, $1 FROM referrals"
                    f" WHERE answered_at IS NULL AND {condition} ON CONFLICT (id) DO NOTHING",
                    moment,
                )

    async def take_due(self) -> list[Notification]:
        """Return notifications to send now. For a minute no other process gets them."""
        moment = now()
        rows = await self._database.fetch(
            "SELECT notifications.* FROM notifications JOIN referrals ON referrals.id = referral_id"
            " WHERE sent_at IS NULL AND answered_at IS NULL AND next_attempt_at <= $1"
            " ORDER BY next_attempt_at LIMIT $2",
            to_timestamp(moment),
            BATCH,
        )
        taken: list[Notification] = []
        for row in rows:
            if await self._database.execute(
                "UPDATE notifications SET attempts = attempts + 1, next_attempt_at = $3"
                " WHERE id = $1 AND next_attempt_at = $2 AND sent_at IS NULL",
                row["id"],
                row["next_attempt_at"],
                to_timestamp(moment + IN_PROGRESS),
            ):
                event, channel, referral_id = row["event"], row["channel"], row["referral_id"]
                taken.append(Notification(row["id"], event, channel, referral_id, row["attempts"] + 1, row["error"]))
        return taken

    async def mark_sent(self, notification: Notification) -> None:
        """Record that a receiver has accepted a notification."""
        await self._database.execute(
            "UPDATE notifications SET sent_at = $2, error = NULL WHERE id = $1", notification.id, to_timestamp(now())
        )

    async def mark_failed(self, notification: Notification, error: str) -> None:
        """Record why an attempt failed, and when to try again."""
        first, longest = BACKOFF
        pause = min(first * 2 ** min(notification.attempts - 1, 20), longest)
        await self._database.execute(
            "UPDATE notifications SET error = $2, next_attempt_at = $3 WHERE id = $1",
            notification.id,
            error,
            to_timestamp(now() + pause),
        )

    async def failing(self) -> list[Notification]:
        """Return the notifications of open referrals whose last attempt failed."""
        rows = await self._database.fetch(
            "SELECT notifications.* FROM notifications JOIN referrals ON referrals.id = referral_id"
            " WHERE sent_at IS NULL AND answered_at IS NULL AND error IS NOT NULL ORDER BY notifications.id"
        )
        return [
            Notification(row["id"], row["event"], row["channel"], row["referral_id"], row["attempts"], row["error"])
            for row in rows
        ]
