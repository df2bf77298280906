"""The cache: a model's reply may be used again for the same request of the same caller, for a while."""

from collections.abc import Iterable
from datetime import timedelta

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import DatabaseUnavailable
from chassis.store.database import Database

log = structlog.get_logger()


class ReplyCache:
    """Model replies in the database, as text under a key that covers everything that changes a reply."""

    def __init__(self, database: Database, ttl_seconds: int) -> None:
        self._database = database
        self._ttl = timedelta(seconds=ttl_seconds)

    @property
    def enabled(self) -> bool:
        """Return False when `cache.ttl_seconds` is 0."""
        return bool(self._ttl)

    async def find(self, key: str) -> tuple[str, str] | None:
        """Return the model's name and its reply, unless there is none or it has expired."""
        rows = await self._database.fetch(
            "SELECT model, reply FROM replies WHERE key = $1 AND expires_at > $2", key, to_timestamp(now())
        )
        return (rows[0]["model"], rows[0]["reply"]) if rows else None

    async def keep(self, key: str, model: str, reply: str) -> None:
        """Keep a reply until its time is up, and forget those whose time is.

        The reply is there and paid for: a database that cannot keep it must not keep it from the caller.
        """
        try:
            await self._keep(key, model, reply)
        except DatabaseUnavailable as error:
            log.warning("reply_cache.write_failed", reason=error.reason)

    async def _keep(self, key: str, model: str, reply: str) -> None:
        moment = now()
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM replies WHERE expires_at <= $1", to_timestamp(moment))
            await tx.execute(
                "INSERT INTO replies (key, model, reply, expires_at) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (key) DO UPDATE SET model = $2, reply = $3, expires_at = $4",
                key,
                model,
                reply,
                to_timestamp(moment + self._ttl),
            )

    async def forget(self, keys: Iterable[str]) -> None:
        """Drop replies that turned out to be useless."""
        for key in keys:
            await self._database.execute("DELETE FROM replies WHERE key = $1", key)
