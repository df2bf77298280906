"""Asks as much of the chain as the budgets can bear, so that a dear model does not keep a cheap one from answering."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse

from chassis.call import Turn
from chassis.errors import BudgetExhausted
from chassis.guard.request import Request
from chassis.guard.step import Step


@dataclass(frozen=True, slots=True)
class Afforded:
    """Asks the first of several chains whose worst case fits into the budgets.

    Args:
        chains: The whole one, and then ever cheaper ones; each is made only when the one before it does not fit.
        turn: Where it is noted that the whole one did not.
    """

    chains: Iterable[Step]
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Ask.

        Raises:
            BudgetExhausted: Not even the cheapest fits; nothing was sent.
        """
        chains = iter(self.chains)
        try:
            return await next(chains).ask(request)
        except BudgetExhausted:
            for cheaper in chains:
                self.turn.shortened = True
                with suppress(BudgetExhausted):
                    return await cheaper.ask(request)
            raise
