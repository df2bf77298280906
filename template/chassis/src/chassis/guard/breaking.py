"""Skips a model that rests, or whose destination does, and tells their breakers how requests end."""

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.guard import breaker
from chassis.guard.breaker import Breaker
from chassis.guard.failures import UnusableReply

QUOTA_SECONDS = 15 * 60.0
"""How long an account without quota rests; waiting does not fill it, but somebody may."""
LONGEST_SECONDS = 60 * 60.0
"""What a vendor may ask for in `Retry-After`; more is taken for this."""


class Breaking(WrapperModel):
    """Asks the wrapped model only while its breaker and its destination's let it.

    Args:
        wrapped: The rest of the walk.
        model: The breaker of the model.
        destination: The breaker that all models of its destination share.
    """

    def __init__(self, wrapped: Model, model: Breaker, destination: Breaker) -> None:
        super().__init__(wrapped)
        self._model, self._destination = model, destination

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask, unless the model or its destination rests."""
        self._destination.check()
        self._model.check()
        self._destination.enter()
        self._model.enter()
        try:
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        except (ModelAuthenticationError, ModelNotFoundError) as error:
            self._blame(error)  # a wrong key or name turns down every request, not just this one
            raise
        except (ModelRequestRejectedError, UnusableReply):
            self._well()  # the vendor is well; it is this one request that it cannot serve
            raise
        except (ModelAPIError, UnexpectedModelBehavior) as error:
            self._blame(error)
            raise
        except BaseException:  # a caller who hung up says nothing about the model
            self._destination.leave()
            self._model.leave()
            raise
        self._well()
        return response

    def _well(self) -> None:
        self._destination.succeeded()
        self._model.succeeded()

    def _blame(self, error: ModelAPIError | UnexpectedModelBehavior) -> None:
        """Tell the breaker of whatever is not well: the whole destination, or this model of it."""
        match error:
            case ModelConnectionError(phase="pool" | "connect"):
                self._model.leave()
                self._destination.failed()
            case _:
                self._destination.leave()
                self._model.failed(_known_rest(error))


def _known_rest(error: ModelAPIError | UnexpectedModelBehavior) -> float | None:
    """Return how long the model is known to be of no use, or None if a single failure says nothing about the next."""
    asked_for = (error.retry_after or 0) if isinstance(error, ModelAPIError) else 0
    if isinstance(error, ModelQuotaExceededError):
        return min(asked_for or QUOTA_SECONDS, LONGEST_SECONDS)
    return min(asked_for, LONGEST_SECONDS) if asked_for > breaker.REST_SECONDS else None
