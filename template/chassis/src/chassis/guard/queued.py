"""Sends one model a bounded number of requests at once, so that a slow model cannot tie up every call."""

import structlog
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Share
from chassis.guard.failures import Crowded
from chassis.line import Line, LineFull

log = structlog.get_logger()


class Queued(WrapperModel):
    """Asks the wrapped model when there is a place, and gives up where too many wait already.

    Args:
        wrapped: The rest of the walk.
        line: The model's, shared by all calls of the process.
        share: How long a request may wait.
        name: The model's name, for the log.
    """

    def __init__(self, wrapped: Model, line: Line, share: Share, name: str) -> None:
        super().__init__(wrapped)
        self._line, self._share, self._name = line, share, name

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Wait for a place, and ask."""
        try:
            async with self._line.place(self._share.seconds()):
                return await self.wrapped.request(messages, model_settings, model_request_parameters)
        except LineFull:
            log.warning("model.crowded", model=self._name)
            raise Crowded(self._name, f"Too many requests wait for {self._name}") from None
