"""Stops model requests while the models are switched off.

The step is in the pipeline twice: outermost, so that not even a cached reply is used, and right around each request
that is sent, because waiting, retries and fallbacks may delay that request long past the first check.
"""

from contextlib import suppress
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse

from chassis.errors import DatabaseUnavailable, ModelsOff
from chassis.guard.request import Request, Step
from chassis.store.kill_switch import KillSwitch


@dataclass(slots=True)
class CheckKillSwitch:
    """Passes requests and replies on only while the models are on.

    Args:
        inner: The next step.
        kill_switch: The switch that all replicas share.
    """

    inner: Step
    kill_switch: KillSwitch

    async def ask(self, request: Request) -> ModelResponse:
        """Ask unless the models are off, and withhold a reply that arrives after they were switched off.

        Raises:
            ModelsOff: The models are off.
        """
        await self._check()
        response = await self.inner.ask(request)
        with suppress(DatabaseUnavailable):  # a reply that was paid for is not lost because the switch cannot be read
            await self._check()
        return response

    async def _check(self) -> None:
        if await self.kill_switch.is_off():
            raise ModelsOff("The models are switched off")
