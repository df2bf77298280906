"""Asks no model while people have switched the models off."""

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.errors import ModelsOff
from chassis.store.switch import ModelSwitch


class Switched(WrapperModel):
    """Asks the wrapped chain while the switch is on; not even the cache speaks for a model that is off.

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
            ModelsOff: They are.
        """
        if await self._switch.is_off():
            raise ModelsOff("The models are switched off")
        return await self.wrapped.request(messages, model_settings, model_request_parameters)
