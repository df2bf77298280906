"""Deletes what the database has kept for long enough, as `[retention]` in `constraints.toml` says."""

from collections.abc import Mapping
from datetime import timedelta

import structlog

from chassis.clock import now, to_timestamp
from chassis.config.constraints import RetentionRules
from chassis.store.database import Database
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments

EXPIRED: Mapping[str, str] = {
    # Until it was due, a caller may still expect the answer; after it was given, the caller needs time to fetch it.
    "referrals": "due_at <= $1 AND (answered_at IS NULL OR answered_at <= $1)",
    "notifications": "NOT EXISTS (SELECT 1 FROM referrals WHERE referrals.id = subject_id)"
    " AND NOT EXISTS (SELECT 1 FROM drift_alarms WHERE drift_alarms.id = subject_id)",
    "review_events": "at <= $1",
    "accounts": "key LIKE 'caller-day:%' AND substr(key, length(key) - 9) <= $1",
    "calls": "answered_at <= $1",
    "feedback": "received_at <= $1",
    "replies": "expires_at <= $1",
    "review_sessions": "expires_at <= $1",
    "daily_counts": "day <= $1",
    "drift_alarms": "closed_at <= $1",
}
"""By table, which rows have been kept for long enough at the time `$1`. Notifications follow what they are about."""
CALLER_ACCOUNTS_DAYS = 365
"""How long it is known what a caller has spent on a day. No budget needs it after that day."""
DAILY_COUNTS_DAYS = 1095
"""How long the daily counts are kept. They are about no person; the limit bounds the size of the table."""
log = structlog.get_logger()


class Retention:
    """What is kept for how long.

    Args:
        database: What is swept.
        rules: How long.
        instruments: Count what is deleted.
    """

    def __init__(self, database: Database, rules: RetentionRules, instruments: Instruments) -> None:
        self._database, self._rules, self._instruments = database, rules, instruments

    async def sweep(self) -> dict[str, int]:
        """Delete what is due, and return the number of deleted rows of each table.

        Raises:
            DatabaseUnavailable: Some of it is left; the next sweep deletes it.
        """
        days = {
            "referrals": self._rules.referrals_days,
            "review_events": self._rules.audit_days,
            "daily_counts": DAILY_COUNTS_DAYS,
            "accounts": CALLER_ACCOUNTS_DAYS,
            "calls": self._rules.calls_days,
            "feedback": self._rules.feedback_days,
            "drift_alarms": DAILY_COUNTS_DAYS,
        }
        deleted: dict[str, int] = {}
        for table, condition in EXPIRED.items():
            before = to_timestamp(now() - timedelta(days=days.get(table, 0)))
            values = (before,) if "$1" in condition else ()
            deleted[table] = await self._database.execute(f"DELETE FROM {table} WHERE {condition}", *values)  # noqa: S608
            self._instruments.retention_deleted.add(deleted[table], {names.TABLE: table})
        if any(deleted.values()):
            log.info("retention.swept", **deleted)
        return deleted
