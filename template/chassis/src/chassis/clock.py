"""The time of day, in one place, so that a test can name it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def to_timestamp(moment: datetime) -> str:
    """Return a moment as text that sorts in time order, `2026-11-23T15:04:05.000000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
