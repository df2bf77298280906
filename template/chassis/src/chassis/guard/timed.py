"""Gives each model its share of the time that is left, so that a hanging one cannot use up the others'."""

import asyncio

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Deadline
from chassis.guard.failures import TimedOut


class Timed(WrapperModel):
    """Stops waiting for the wrapped model when its share of the time is over.

    Args:
        wrapped: The model.
        deadline: The call's.
        sharers: How many models of the chain, this one included, share what is left.
    """

    def __init__(self, wrapped: Model, deadline: Deadline, sharers: int) -> None:
        super().__init__(wrapped)
        self._deadline, self._sharers = deadline, sharers

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask, and wait no longer than the share."""
        share = self._deadline.for_models() / self._sharers
        try:
            async with asyncio.timeout(share):
                return await self.wrapped.request(messages, model_settings, model_request_parameters)
        except TimeoutError:
            raise TimedOut(self.model_name, f"{self.model_name} took longer than its {share:.2f} s") from None
