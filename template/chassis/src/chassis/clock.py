"""The current time, and how a time is stored."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def to_timestamp(moment: datetime) -> str:
    """Return a time as text that sorts in the order of time, such as `2026-11-23T15:04:05.000000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
