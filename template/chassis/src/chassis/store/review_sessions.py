"""Sessions of signed-in reviewers. A session that was opened with a key ends with it."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from chassis.clock import now, to_timestamp
from chassis.store.api_keys import hash_secret
from chassis.store.database import Database
from chassis.store.reviews import record_event

SESSION = timedelta(hours=12)
"""The time after which a reviewer has to sign in again: more than a working day."""


@dataclass(frozen=True, slots=True)
class ReviewSession:
    """A session that is open.

    Args:
        reviewer: Who signed in.
        key_id: The key that they used; None if a provider of single sign-on vouched for them.
    """

    reviewer: str
    key_id: str | None


class ReviewSessions:
    """The sessions in the database, by the hashes of their secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, reviewer: str, key_id: str | None = None) -> str:
        """Return the secret of a new session, and delete expired ones."""
        secret, moment = secrets.token_urlsafe(24), now()
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM review_sessions WHERE expires_at <= $1", to_timestamp(moment))
            await tx.execute(
                "INSERT INTO review_sessions (hash, reviewer, key_id, expires_at) VALUES ($1, $2, $3, $4)",
                hash_secret(secret),
                reviewer,
                key_id,
                to_timestamp(moment + SESSION),
            )
            await record_event(tx, reviewer, "signed_in", details={"key": key_id or "single sign-on"})
        return secret

    async def find(self, secret: str) -> ReviewSession | None:
        """Return a session, or None if it has expired, was closed, or its key was revoked."""
        rows = await self._database.fetch(
            "SELECT reviewer, key_id FROM review_sessions LEFT JOIN api_keys ON api_keys.id = key_id"
            " WHERE review_sessions.hash = $1 AND expires_at > $2"
            " AND (key_id IS NULL OR (role = 'reviewer' AND revoked_at IS NULL))",
            hash_secret(secret),
            to_timestamp(now()),
        )
        return ReviewSession(rows[0]["reviewer"], rows[0]["key_id"]) if rows else None

    async def close(self, secret: str) -> None:
        """End a session."""
        await self._database.execute("DELETE FROM review_sessions WHERE hash = $1", hash_secret(secret))
