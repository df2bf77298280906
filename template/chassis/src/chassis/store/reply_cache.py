"""The reply cache: a model's reply may be reused for the same request of the same caller, for a limited time."""

from collections.abc import Iterable
from datetime import timedelta

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import DatabaseUnavailable
from chassis.store.database import Database

log = structlog.get_logger()

MAX_REPLIES, MAX_REPLY_LENGTH = 20_000, 100_000
"""Replies in the cache, and characters of each; together at most 2 GB. A longer reply is not stored."""
STORES_PER_CHECK = 100
"""How often the number of replies is checked, which takes longer than to store one."""
DELETE_EXCESS = """DELETE FROM replies WHERE expires_at <
    (SELECT expires_at FROM replies ORDER BY expires_at DESC LIMIT 1 OFFSET $1)"""


class ReplyCache:
    """Model replies in the database.

    Args:
        database: Where the replies are stored.
        ttl_seconds: The time for which a reply may be reused; 0 turns the cache off.
        max_replies: The number of replies to keep. Those that expire first are deleted.
    """

    def __init__(self, database: Database, ttl_seconds: int, max_replies: int = MAX_REPLIES) -> None:
        self._database = database
        self._ttl = timedelta(seconds=ttl_seconds)
        self._max_replies = max_replies
        self._stores = 0

    @property
    def enabled(self) -> bool:
        """Return whether replies are cached at all."""
        return bool(self._ttl)

    async def find(self, key: str) -> tuple[str, str] | None:
        """Return the name of the model and its reply, or None if there is no reply or it has expired.

        Args:
            key: Covers everything that could change the reply.
        """
        rows = await self._database.fetch(
            "SELECT model, reply FROM replies WHERE key = $1 AND expires_at > $2", key, to_timestamp(now())
        )
        return (rows[0]["model"], rows[0]["reply"]) if rows else None

    async def store(self, key: str, model: str, reply: str) -> None:
        """Store a reply, and now and then delete those that are too many; `Retention` deletes expired ones.

        An unavailable database is only logged: the reply has been paid for, and the caller should still get it.
        """
        if len(reply) > MAX_REPLY_LENGTH:
            return
        try:
            await self._store(key, model, reply)
            self._stores += 1
            if self._stores % STORES_PER_CHECK == 0:
                await self._database.execute(DELETE_EXCESS, self._max_replies - 1)
        except DatabaseUnavailable as error:
            log.warning("reply_cache.write_failed", reason=error.reason)

    async def _store(self, key: str, model: str, reply: str) -> None:
        await self._database.execute(
            "INSERT INTO replies (key, model, reply, expires_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (key) DO UPDATE SET model = $2, reply = $3, expires_at = $4",
            key,
            model,
            reply,
            to_timestamp(now() + self._ttl),
        )

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete replies that turned out to be unusable."""
        for key in keys:
            await self._database.execute("DELETE FROM replies WHERE key = $1", key)
