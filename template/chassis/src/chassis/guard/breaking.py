"""Skips a model whose breaker is open, and tells the breaker how requests end."""

from pydantic_ai.exceptions import ModelAPIError, ModelRequestRejectedError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.guard.breaker import Breaker
from chassis.guard.failures import UnusableReply


class Breaking(WrapperModel):
    """Asks the wrapped model only while its breaker lets it."""

    def __init__(self, wrapped: Model, breaker: Breaker) -> None:
        super().__init__(wrapped)
        self._breaker = breaker

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask, unless the model rests."""
        self._breaker.enter()
        try:
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        except (ModelRequestRejectedError, UnusableReply):
            self._breaker.succeeded()  # the vendor is well; it is this one request that it cannot serve
            raise
        except ModelAPIError:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return response
