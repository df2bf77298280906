"""Limits how long one model may take, so that a model that hangs leaves time for the others."""

import asyncio
import math
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model

from chassis.call import TimeBudget
from chassis.guard.failures import TimedOut
from chassis.guard.request import Request


@dataclass(slots=True)
class EnforceTimeout:
    """The innermost step: sends the request to the vendor's model and cancels it when its time is over.

    Args:
        model: The vendor's model.
        time_budget: How long it may take; a task that sets `request_timeout` can only make it less.
    """

    model: Model
    time_budget: TimeBudget

    async def ask(self, request: Request) -> ModelResponse:
        """Send the request.

        Raises:
            TimedOut: The model did not answer in time.
        """
        seconds = min(self.time_budget.seconds(), (request.settings or {}).get("request_timeout", math.inf))
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                return await self.model.request(request.messages, request.settings, request.parameters)
        except TimeoutError:
            if not timeout.expired():
                raise  # raised inside the vendor's library, which has a timeout of its own
            name = self.model.model_name
            raise TimedOut(name, f"{name} did not answer within {seconds:.2f} s") from None
