"""Gives each model its share of the time that is left, so that a hanging one cannot use up the others'."""

import asyncio

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Share
from chassis.guard.failures import TimedOut


class Timed(WrapperModel):
    """Stops waiting for the wrapped model when its share of the time is over.

    Args:
        wrapped: The model.
        share: The model's share of the deadline.
    """

    def __init__(self, wrapped: Model, share: Share) -> None:
        super().__init__(wrapped)
        self._share = share

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask, and wait no longer than the share."""
        limit = asyncio.timeout(seconds := self._share.seconds())
        try:
            async with limit:
                return await self.wrapped.request(messages, model_settings, model_request_parameters)
        except TimeoutError:
            if not limit.expired():
                raise  # somebody else's
            raise TimedOut(self.model_name, f"{self.model_name} took longer than its {seconds:.2f} s") from None
