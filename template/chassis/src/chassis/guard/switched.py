"""Asks no model while people have switched the models off.

It stands in two places: around the whole walk, so that not even the cache speaks, and before each request that is sent,
because a retry, a later model or a place in a line may come long after the walk began.
"""

from contextlib import suppress

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.errors import ModelsOff, StoreUnavailable
from chassis.store.switch import ModelSwitch


class Switched(WrapperModel):
    """Asks the wrapped model while the switch is on, and passes nothing on that comes after it was switched off.

    Args:
        wrapped: The rest of the walk.
        switch: The one switch of all replicas.
    """

    def __init__(self, wrapped: Model, switch: ModelSwitch) -> None:
        super().__init__(wrapped)
        self._switch = switch

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask, unless the models are off.

        Raises:
            ModelsOff: They are, or were by the time the reply was there.
        """
        await self._check()
        response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        with suppress(StoreUnavailable):  # what is there and paid for is not lost because nobody can say
            await self._check()
        return response

    async def _check(self) -> None:
        if await self._switch.is_off():
            raise ModelsOff("The models are switched off")
