"""Sets the worst case aside before anything is sent, and settles to what it cost, whatever happens between."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse

from chassis.call import Turn
from chassis.config.constraints import Constraints
from chassis.errors import BudgetExhausted
from chassis.guard.candidate import Candidate
from chassis.guard.request import Request, Step
from chassis.money.accounts import accounts_for, check_request_budget
from chassis.money.ledger import Ledger
from chassis.usd import NanoUsd


@dataclass(frozen=True, slots=True)
class ReserveBudget:
    """Asks a chain only when the budgets can bear the worst that asking could cost.

    Args:
        inner: The rest of the walk.
        links: The models that may be asked; the worst case is that each of them is, and charges for it.
        constraints: The ceilings.
        ledger: Where money is held.
        turn: What is charged is what the turn's attempts cost.
    """

    inner: Step
    candidates: tuple[Candidate, ...]
    constraints: Constraints
    ledger: Ledger
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Hold, ask, settle.

        Raises:
            BudgetExhausted: The worst case does not fit; nothing was sent.
            InputNotAllowed: There is no worst case, because the request holds more than text.
        """
        turn = self.turn
        turn.max_input_tokens = request.max_input_tokens
        worst_case = sum(link.worst_case_with_retries(turn.max_input_tokens) for link in self.candidates)
        check_request_budget(turn.call.committed_cost + worst_case, self.constraints)
        async with self._reserved(worst_case):
            return await self.inner.ask(request)

    @asynccontextmanager
    async def _reserved(self, worst_case: NanoUsd) -> AsyncGenerator[None]:
        turn, call = self.turn, self.turn.call
        turn.reserved = worst_case  # before anything is waited for: the call's other requests look at it meanwhile
        try:
            reservation = await self.ledger.reserve(accounts_for(call.caller, self.constraints), worst_case)
        except BaseException:
            turn.reserved = 0
            raise
        try:
            yield
        finally:
            turn.reserved = 0
            # To its end, even if a caller who hung up cancels this.
            await self.ledger.settle(reservation, turn.cost, call.deadline.remaining())


@dataclass(frozen=True, slots=True)
class TryCheaperChains:
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
                self.turn.budget_limited = True
                with suppress(BudgetExhausted):
                    return await cheaper.ask(request)
            raise
