"""API keys of callers and reviewers, and the sessions of signed-in reviewers.

Only SHA-256 hashes are stored, so that a stolen database is of no use. A key has 192 random bits. A slow password hash,
which protects short passwords, would only make every call slower.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog

from chassis.clock import now, to_timestamp
from chassis.errors import ConfigError
from chassis.store.database import Database, Row
from chassis.store.reviews import record_event

PREFIXES: Mapping["KeyRole", str] = {"caller": "ck_", "reviewer": "rk_"}
DEVELOPMENT_CALLER = "developer"
"""The caller whose key `chassis serve` creates by itself and shows on the terminal, except in production."""
CALLER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
log = structlog.get_logger()

type KeyRole = Literal["caller", "reviewer"]
"""A caller may ask questions, a reviewer may answer referrals at `/review`. Neither may do what the other may."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The record of a key, without the key itself. Times are UTC."""

    id: str
    caller: str
    role: KeyRole
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

    async def create(self, caller: str, role: KeyRole = "caller") -> str:
        """Create a key for `caller`, or for a reviewer of that name, and return it. It cannot be shown again.

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
        key, key_id = PREFIXES[role] + secrets.token_urlsafe(24), "k_" + secrets.token_hex(6)
        await self._database.execute(
            "INSERT INTO api_keys (id, hash, caller, created_at, role) VALUES ($1, $2, $3, $4, $5)",
            key_id,
            hash_secret(key),
            caller,
            to_timestamp(now()),
            role,
        )
        log.info("api_key.created", key_id=key_id, caller=caller, role=role)
        return key

    async def find_caller(self, key: str) -> str | None:
        """Return the caller with this key, or None if it was never created, was revoked or is for development only.

        The lookup is by hash, so its duration does not reveal how much of a guessed key is right.
        """
        rows = await self._database.fetch(
            "SELECT caller FROM api_keys WHERE hash = $1 AND role = 'caller' AND revoked_at IS NULL", hash_secret(key)
        )
        caller = str(rows[0]["caller"]) if rows else None
        return None if self._production and caller == DEVELOPMENT_CALLER else caller

    async def find_reviewer(self, key: str) -> ApiKey | None:
        """Return the record of a reviewer's key, or None under the same conditions as `find_caller`."""
        rows = await self._database.fetch(
            "SELECT * FROM api_keys WHERE hash = $1 AND role = 'reviewer' AND revoked_at IS NULL", hash_secret(key)
        )
        reviewer = _api_key(rows[0]) if rows else None
        return None if self._production and reviewer and reviewer.caller == DEVELOPMENT_CALLER else reviewer

    async def list_keys(self) -> list[ApiKey]:
        """Return every key that was ever created, oldest first."""
        rows = await self._database.fetch(
            "SELECT id, caller, role, created_at, revoked_at FROM api_keys ORDER BY created_at, id"
        )
        return [_api_key(row) for row in rows]

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key with immediate effect. Return False if there is no such key or it was revoked before."""
        changed = await self._database.execute(
            "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", key_id, to_timestamp(now())
        )
        return changed > 0


def hash_secret(secret: str) -> str:
    """Return what is stored of a secret that has many random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _api_key(row: Row) -> ApiKey:
    created_at, revoked_at = datetime.fromisoformat(str(row["created_at"])), row["revoked_at"]
    revoked = datetime.fromisoformat(str(revoked_at)) if revoked_at else None
    return ApiKey(str(row["id"]), str(row["caller"]), row["role"], created_at, revoked)


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
