"""Asks no model while people have switched the models off.

It stands in two places: around the whole walk, so that not even the cache speaks, and before each request that is sent,
because a retry, a later model or a place in a line may come long after the walk began.
"""

from contextlib import suppress
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse

from chassis.errors import DatabaseUnavailable, ModelsOff
from chassis.guard.request import Request, Step
from chassis.store.kill_switch import KillSwitch


@dataclass(frozen=True, slots=True)
class CheckKillSwitch:
    """Asks while the switch is on, and passes nothing on that comes after it was switched off.

    Args:
        inner: The rest of the walk.
        switch: The one switch of all replicas.
    """

    inner: Step
    kill_switch: KillSwitch

    async def ask(self, request: Request) -> ModelResponse:
        """Ask, unless the models are off.

        Raises:
            ModelsOff: They are, or were by the time the reply was there.
        """
        await self._check()
        response = await self.inner.ask(request)
        with suppress(DatabaseUnavailable):  # what is there and paid for is not lost because nobody can say
            await self._check()
        return response

    async def _check(self) -> None:
        if await self.kill_switch.is_off():
            raise ModelsOff("The models are switched off")
