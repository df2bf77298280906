"""API keys. Only their SHA-256 hashes are stored, so that a stolen database does not help to call the service.

A key has 192 random bits. A slow password hash, which protects short passwords, would only make every call slower.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import ConfigError
from chassis.store.database import Database, Row

PREFIX = "ck_"
DEVELOPMENT_CALLER = "developer"
"""The caller whose key `chassis serve` creates by itself and shows on the terminal, except in production."""
CALLER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The record of a key, without the key itself. Times are UTC."""

    id: str
    caller: str
    created_at: datetime
    revoked_at: datetime | None


class ApiKeys:
    """The keys in the database.

    Args:
        database: Where the hashes are stored.
        production: Whether to reject development keys.
    """

    def __init__(self, database: Database, *, production: bool = False) -> None:
        self._database, self._production = database, production

    async def create(self, caller: str) -> str:
        """Create a key for `caller` and return it. It cannot be shown again.

        Raises:
            ConfigError: The name is not usable in logs and budgets, or is reserved for development.
        """
        if not CALLER_NAME.fullmatch(caller):
            raise ConfigError(
                "caller", f"the name is {caller!r}", "Use 1 to 64 letters, digits and . _ @ - such as 'web-shop'"
            )
        if self._production and caller == DEVELOPMENT_CALLER:
            problem = f"keys of {caller!r} are rejected in production"
            raise ConfigError("caller", problem, "Name the program or the team that calls")
        # The id is random too: it is shown in lists and logs, and must not reveal anything about the key.
        key, key_id = PREFIX + secrets.token_urlsafe(24), "k_" + secrets.token_hex(6)
        await self._database.execute(
            "INSERT INTO api_keys (id, hash, caller, created_at) VALUES ($1, $2, $3, $4)",
            key_id,
            _hash(key),
            caller,
            to_timestamp(now()),
        )
        log.info("api_key.created", key_id=key_id, caller=caller)
        return key

    async def find_caller(self, key: str) -> str | None:
        """Return the caller with this key, or None if it was never created, was revoked or is for development only.

        The lookup is by hash, so its duration does not reveal how much of a guessed key is right.
        """
        rows = await self._database.fetch(
            "SELECT caller FROM api_keys WHERE hash = $1 AND revoked_at IS NULL", _hash(key)
        )
        caller = str(rows[0]["caller"]) if rows else None
        return None if self._production and caller == DEVELOPMENT_CALLER else caller

    async def list_keys(self) -> list[ApiKey]:
        """Return every key that was ever created, oldest first."""
        rows = await self._database.fetch(
            "SELECT id, caller, created_at, revoked_at FROM api_keys ORDER BY created_at, id"
        )
        return [_api_key(row) for row in rows]

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key with immediate effect. Return False if there is no such key or it was revoked before."""
        changed = await self._database.execute(
            "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", key_id, to_timestamp(now())
        )
        return changed > 0


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _api_key(row: Row) -> ApiKey:
    created_at, revoked_at = datetime.fromisoformat(str(row["created_at"])), row["revoked_at"]
    return ApiKey(
        str(row["id"]), str(row["caller"]), created_at, datetime.fromisoformat(str(revoked_at)) if revoked_at else None
    )
