"""Words the conversation for one model, since what one vendor said may not read well to another."""

from dataclasses import dataclass, replace

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model

from chassis.guard.request import Request
from chassis.guard.step import Step


@dataclass(frozen=True, slots=True)
class Prepared:
    """Asks with the messages as pydantic-ai prepares them for the vendor's model.

    Args:
        inner: The rest of the walk.
        vendor: The model at its end.
    """

    inner: Step
    vendor: Model

    async def ask(self, request: Request) -> ModelResponse:
        """Prepare, and ask."""
        messages = self.vendor.prepare_messages(request.messages, request.parameters)
        return await self.inner.ask(replace(request, messages=messages))
