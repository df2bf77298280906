"""The switch that takes every model out, in all replicas at once: a row in the database they share."""

import time
from dataclasses import dataclass
from datetime import datetime

import structlog

from chassis.clock import now, to_timestamp
from chassis.store.database import Database
from chassis.telemetry.instruments import Instruments

MODELS = "models"
REFRESH_SECONDS = 1.0
"""How old what a process knows of the switch may be."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """The models are off: since when (UTC), by whom, and why if they said so."""

    since: datetime
    by: str
    reason: str | None


class KillSwitch:
    """The switch, read at most once a second.

    Args:
        database: Where it is kept.
        instruments: Record whether the models are off.
        held_off: True if the environment keeps the models of this process off, whatever the database says.
    """

    def __init__(self, database: Database, instruments: Instruments, *, held_off: bool = False) -> None:
        self._database, self._instruments, self._held_off = database, instruments, held_off
        self._off, self._look_again_at = False, 0.0

    async def is_off(self) -> bool:
        """Return whether no model may be asked, as of at most a second ago."""
        if time.monotonic() >= self._look_again_at:
            self._look_again_at = time.monotonic() + REFRESH_SECONDS  # now: others need not look while this one does
            self._note(off=self._held_off or await self.status() is not None)
        return self._off

    async def status(self) -> KillSwitchState | None:
        """Return who switched the models off and when, or None if they are on."""
        rows = await self._database.fetch("SELECT off_since, off_by, reason FROM switches WHERE name = $1", MODELS)
        return (
            KillSwitchState(datetime.fromisoformat(rows[0]["off_since"]), rows[0]["off_by"], rows[0]["reason"])
            if rows
            else None
        )

    async def turn_off(self, by: str, reason: str | None = None) -> None:
        """Take every model out; who switched first, stands."""
        await self._database.execute(
            "INSERT INTO switches (name, off_since, off_by, reason) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (name) DO NOTHING",
            MODELS,
            to_timestamp(now()),
            by,
            reason,
        )

    async def turn_on(self) -> None:
        """Let models be asked again."""
        await self._database.execute("DELETE FROM switches WHERE name = $1", MODELS)

    def _note(self, *, off: bool) -> None:
        if off != self._off:
            log.warning("kill_switch.on" if off else "kill_switch.off")
            self._instruments.kill_switch_on.add(1 if off else -1)
        self._off = off
