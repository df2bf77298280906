"""Sets the worst case aside before anything is sent, and settles to what it cost, whatever happens between."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse

from chassis.call import Turn
from chassis.config.constraints import Constraints
from chassis.errors import BudgetExhausted
from chassis.guard.candidate import Link
from chassis.guard.request import Request, Step
from chassis.money.accounts import accounts_for, check_call
from chassis.money.ledger import Ledger
from chassis.usd import NanoUsd


@dataclass(frozen=True, slots=True)
class Held:
    """Asks a chain only when the budgets can bear the worst that asking could cost.

    Args:
        inner: The rest of the walk.
        links: The models that may be asked; the worst case is that each of them is, and charges for it.
        constraints: The ceilings.
        ledger: Where money is held.
        turn: What is charged is what the turn's attempts cost.
    """

    inner: Step
    links: tuple[Link, ...]
    constraints: Constraints
    ledger: Ledger
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Hold, ask, settle.

        Raises:
            BudgetExhausted: The worst case does not fit; nothing was sent.
            NotAllowed: There is no worst case, because the request holds more than text.
        """
        turn = self.turn
        turn.input_bound = request.input_bound
        worst_case = sum(link.worst_case_with_retries(turn.input_bound) for link in self.links)
        check_call(turn.call.exposure + worst_case, self.constraints)
        async with self._held(worst_case):
            return await self.inner.ask(request)

    @asynccontextmanager
    async def _held(self, worst_case: NanoUsd) -> AsyncGenerator[None]:
        turn, call = self.turn, self.turn.call
        turn.held = worst_case  # before anything is waited for: the call's other requests look at it meanwhile
        try:
            hold = await self.ledger.hold(accounts_for(call.caller, self.constraints), worst_case)
        except BaseException:
            turn.held = 0
            raise
        try:
            yield
        finally:
            turn.held = 0
            # To its end, even if a caller who hung up cancels this.
            await self.ledger.settle(hold, turn.cost, call.deadline.remaining())


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
