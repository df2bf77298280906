"""Sets the worst case aside before anything is sent, and settles to what it cost, whatever happens between."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.budget import accounts_for, check_call
from chassis.call import Turn
from chassis.constraints import Constraints
from chassis.guard.link import Link
from chassis.guard.request import canonical_of, input_bound
from chassis.store.ledger import Ledger
from chassis.types import NanoUsd


class Held(WrapperModel):
    """Asks the wrapped chain only when the budgets can bear the worst that asking could cost.

    Args:
        wrapped: The rest of the walk.
        links: The models that may be asked; the worst case is that each of them is, and charges for it.
        constraints: The ceilings.
        ledger: Where money is held.
        turn: What is charged is what the turn's attempts cost.
    """

    def __init__(
        self, wrapped: Model, links: tuple[Link, ...], constraints: Constraints, ledger: Ledger, turn: Turn
    ) -> None:
        super().__init__(wrapped)
        self._links, self._constraints, self._ledger, self._turn = links, constraints, ledger, turn

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Hold, ask, settle.

        Raises:
            BudgetExhausted: The worst case does not fit; nothing was sent.
            NotAllowed: There is no worst case, because the request holds more than text.
        """
        turn = self._turn
        request = canonical_of(turn, messages, model_settings, model_request_parameters)
        turn.input_bound = input_bound(request, messages, model_request_parameters)
        worst_case = sum(link.worst_case_with_retries(turn.input_bound) for link in self._links)
        check_call(turn.call.exposure + worst_case, self._constraints)
        async with self._held(worst_case):
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def _held(self, worst_case: NanoUsd) -> AsyncGenerator[None]:
        turn, call = self._turn, self._turn.call
        turn.held = worst_case  # before anything is waited for: the call's other requests look at it meanwhile
        try:
            hold = await self._ledger.hold(accounts_for(call.caller, self._constraints), worst_case)
        except BaseException:
            turn.held = 0
            raise
        try:
            yield
        finally:
            turn.held = 0
            # To its end, even if a caller who hung up cancels this.
            await self._ledger.settle(hold, turn.cost, call.deadline.remaining())
