"""Sessions of signed-in reviewers. A session ends with the key that it was opened with."""

import secrets
from datetime import timedelta

from chassis.clock import now, to_timestamp
from chassis.store.api_keys import ApiKey, hash_secret
from chassis.store.database import Database
from chassis.store.reviews import record_event

SESSION = timedelta(hours=12)
"""The time after which a reviewer has to sign in again: more than a working day."""


class ReviewSessions:
    """The sessions in the database, by the hashes of their secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, key: ApiKey) -> str:
        """Return the secret of a new session, and delete expired ones."""
        secret, moment = secrets.token_urlsafe(24), now()
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM review_sessions WHERE expires_at <= $1", to_timestamp(moment))
            await tx.execute(
                "INSERT INTO review_sessions (hash, key_id, expires_at) VALUES ($1, $2, $3)",
                hash_secret(secret),
                key.id,
                to_timestamp(moment + SESSION),
            )
            await record_event(tx, key.caller, "signed_in", details={"key": key.id})
        return secret

    async def find_reviewer(self, secret: str) -> str | None:
        """Return the reviewer of a session, or None if it has expired, was closed, or its key was revoked."""
        rows = await self._database.fetch(
            "SELECT api_keys.caller FROM review_sessions JOIN api_keys ON api_keys.id = review_sessions.key_id"
            " WHERE review_sessions.hash = $1 AND expires_at > $2 AND role = 'reviewer' AND revoked_at IS NULL",
            hash_secret(secret),
            to_timestamp(now()),
        )
        return rows[0]["caller"] if rows else None

    async def close(self, secret: str) -> None:
        """End a session."""
        await self._database.execute("DELETE FROM review_sessions WHERE hash = $1", hash_secret(secret))
