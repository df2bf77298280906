"""Reserves the worst case of a request before anything is sent, and settles it to the real cost afterwards."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse

from chassis.call import Turn
from chassis.config.constraints import Constraints
from chassis.errors import BudgetExhausted
from chassis.guard.candidate import Candidate
from chassis.guard.request import Request, Step
from chassis.money.accounts import Reservation, accounts_for, check_request_budget
from chassis.money.ledger import Ledger


@dataclass(slots=True)
class ReserveBudget:
    """Asks only what the budgets cover.

    If that is not the whole chain, and the constraints allow it, the most expensive models are left out.

    Args:
        inner: The next step.
        candidates: The chain. The worst case is that each of them is asked, as often as it may be, and charges for it.
        constraints: The budget limits, and what to do when they are reached.
        ledger: Where the money is reserved.
        turn: Its attempts are what is charged. The models that the budgets do not cover are noted on it.
    """

    inner: Step
    candidates: tuple[Candidate, ...]
    constraints: Constraints
    ledger: Ledger
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Reserve, ask, settle.

        Raises:
            BudgetExhausted: The worst case of not even the cheapest model is covered; nothing was sent.
            InputNotAllowed: The request has no worst case, because it contains more than text.
        """
        self.turn.max_input_tokens = request.max_input_tokens
        reservation = await self._reserve_affordable()
        try:
            return await self.inner.ask(request)
        finally:
            # Also when the call fails, or is cancelled because its caller disconnected: what was sent must be paid.
            # `settle` itself runs to its end even if this task is cancelled once more while it waits.
            self.turn.reserved = 0
            await self.ledger.settle(reservation, self.turn.cost, self.turn.call.deadline.remaining())

    async def _reserve_affordable(self) -> Reservation:
        """Reserve for the longest chain that the budgets cover."""
        chains = self._chains()
        try:
            return await self._reserve(next(chains))
        except BudgetExhausted:
            for cheaper in chains:
                left_out = (candidate for candidate in self.candidates if candidate not in cheaper)
                self.turn.unaffordable = frozenset(candidate.config.name for candidate in left_out)
                with suppress(BudgetExhausted):
                    return await self._reserve(cheaper)
            raise  # the first error, which is about the whole chain

    def _chains(self) -> Iterator[tuple[Candidate, ...]]:
        """Yield the whole chain and, if it may become cheaper, the chain without its most expensive models."""
        yield self.candidates
        if self.constraints.fallback.budget_exhausted == "cheaper":
            rest = list(self.candidates)
            for most_expensive in sorted(rest, key=self._worst_case, reverse=True)[:-1]:
                rest.remove(most_expensive)
                yield tuple(rest)

    def _worst_case(self, candidate: Candidate) -> int:
        return candidate.worst_case_with_retries(self.turn.max_input_tokens)

    async def _reserve(self, chain: tuple[Candidate, ...]) -> Reservation:
        turn, call = self.turn, self.turn.call
        worst_case = sum(self._worst_case(candidate) for candidate in chain)
        check_request_budget(call.committed_cost + worst_case, self.constraints)
        # Noted before the ledger is waited for: `committed_cost` shows it to requests of the same call that run
        # concurrently, which could otherwise exceed `cost.per_request_usd` together.
        turn.reserved = worst_case
        try:
            return await self.ledger.reserve(accounts_for(call.caller, self.constraints), worst_case)
        except BaseException:
            turn.reserved = 0
            raise
