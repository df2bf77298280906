"""Asks the models of the chain in order until one gives a usable reply."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelResponse

from chassis.call import TimeBudget, Turn
from chassis.errors import ModelsFailed
from chassis.guard.candidate import Candidate
from chassis.guard.request import Request, Step


@dataclass(slots=True)
class Fallback:
    """Asks the next model when one fails. Errors in the team's code or in ours are not caught.

    Args:
        candidates: The models, in order.
        turn: Says which of them the budgets do not cover, and by when the call has to be over.
        pipeline_of: Returns the steps between this one and a model, given the model's time budget.
    """

    candidates: tuple[Candidate, ...]
    turn: Turn
    pipeline_of: Callable[[Candidate, TimeBudget], Step]

    async def ask(self, request: Request) -> ModelResponse:
        """Ask one model after another.

        Raises:
            ModelsFailed: No model gave a usable reply; the cause is a group of their failures, in order.
        """
        # Kept as a group, so that the log shows why each model failed and not just the last.
        failures: list[Exception] = []
        affordable = [candidate for candidate in self.candidates if candidate.config.name not in self.turn.unaffordable]
        for position, candidate in enumerate(affordable):
            # Each model may use an equal part of the time that is left, so that the last one is not left without any.
            time_budget = TimeBudget(self.turn.call.deadline, models_left=len(affordable) - position)
            try:
                # Some parts of a conversation can only be read by the vendor that wrote them.
                messages = candidate.model.prepare_messages(request.messages, request.parameters)
                prepared = Request(messages, request.settings, request.parameters)
                return await self.pipeline_of(candidate, time_budget).ask(prepared)
            # A `CallError`, such as a deadline, ends the chain: no other model could do better.
            except (ModelAPIError, UnexpectedModelBehavior) as failure:
                failures.append(failure)
        raise ModelsFailed("No model gave a usable reply") from ExceptionGroup("every model failed", failures)
