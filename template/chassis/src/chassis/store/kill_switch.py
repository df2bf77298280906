"""The state of the kill switch, which switches all models off: a row in the database that all replicas share."""

import time
from dataclasses import dataclass
from datetime import datetime

import structlog

from chassis.clock import now, to_timestamp
from chassis.store.database import Database
from chassis.telemetry.instruments import Instruments

MODELS = "models"
REFRESH_SECONDS = 1.0
"""The interval at which a process reads the state, and so the time until a change has effect."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """The models are off since a time (UTC), switched off by someone, for a reason if one was given."""

    since: datetime
    by: str
    reason: str | None


class KillSwitch:
    """The kill switch. Its state is cached for a second, because every model request asks for it.

    Args:
        database: Where the state is stored.
        instruments: Record whether the models are off.
        held_off: Whether the environment switches the models of this process off, whatever the database says.
    """

    def __init__(self, database: Database, instruments: Instruments, *, held_off: bool = False) -> None:
        self._database, self._instruments, self._held_off = database, instruments, held_off
        self._off, self._refresh_at = False, 0.0

    async def is_off(self) -> bool:
        """Return whether the models are off, as of at most a second ago."""
        if time.monotonic() >= self._refresh_at:
            # Set before the query, so that other calls do not start the same query while this one waits.
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
            self._record(off=self._held_off or await self.status() is not None)
        return self._off

    async def status(self) -> KillSwitchState | None:
        """Return who switched the models off, when and why, or None if they are on in the database."""
        rows = await self._database.fetch("SELECT off_since, off_by, reason FROM switches WHERE name = $1", MODELS)
        return (
            KillSwitchState(datetime.fromisoformat(rows[0]["off_since"]), rows[0]["off_by"], rows[0]["reason"])
            if rows
            else None
        )

    async def turn_off(self, by: str, reason: str | None = None) -> None:
        """Switch the models off. If they are off already, the first entry stays."""
        await self._database.execute(
            "INSERT INTO switches (name, off_since, off_by, reason) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (name) DO NOTHING",
            MODELS,
            to_timestamp(now()),
            by,
            reason,
        )

    async def turn_on(self) -> None:
        """Switch the models on."""
        await self._database.execute("DELETE FROM switches WHERE name = $1", MODELS)

    def _record(self, *, off: bool) -> None:
        if off != self._off:
            log.warning("kill_switch.on" if off else "kill_switch.off")
            self._instruments.kill_switch_on.add(1 if off else -1)
        self._off = off
