"""Asks as much of the chain as the budgets can bear, so that a dear model does not keep a cheap one from answering."""

from collections.abc import Iterator
from contextlib import suppress

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Turn
from chassis.errors import BudgetExhausted


class Afforded(WrapperModel):
    """Asks the first of several chains whose worst case fits into the budgets.

    Args:
        chains: The whole one, and then ever cheaper ones; each is made only when the one before it does not fit.
        turn: Where it is noted that the whole one did not.
    """

    def __init__(self, chains: Iterator[Model], turn: Turn) -> None:
        super().__init__(next(chains))
        self._cheaper, self._turn = chains, turn

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask.

        Raises:
            BudgetExhausted: Not even the cheapest fits; nothing was sent.
        """
        try:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)
        except BudgetExhausted:
            for chain in self._cheaper:
                self._turn.shortened = True
                with suppress(BudgetExhausted):
                    return await chain.request(messages, model_settings, model_request_parameters)
            raise
