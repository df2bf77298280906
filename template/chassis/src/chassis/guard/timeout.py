"""Gives each model its share of the time that is left, so that a hanging one cannot use up the others'."""

import asyncio
import math
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model

from chassis.call import TimeBudget
from chassis.guard.failures import TimedOut
from chassis.guard.request import Request


@dataclass(frozen=True, slots=True)
class EnforceTimeout:
    """Asks the vendor's model, the end of the walk, and stops waiting when its share of the time is over.

    Args:
        vendor: The model.
        share: The model's share of the deadline; a task that sets `request_timeout` gives it less.
    """

    model: Model
    time_budget: TimeBudget

    async def ask(self, request: Request) -> ModelResponse:
        """Ask, and wait no longer than the share."""
        seconds = min(self.time_budget.seconds(), (request.settings or {}).get("request_timeout", math.inf))
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self.model.request(request.messages, request.settings, request.parameters)
        except TimeoutError:
            if not limit.expired():
                raise  # somebody else's
            name = self.model.model_name
            raise TimedOut(name, f"{name} took longer than its {seconds:.2f} s") from None
