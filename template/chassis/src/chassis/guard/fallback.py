"""Asks the models of the chain in their order, until one gives a usable reply."""

from dataclasses import dataclass, replace

from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model

from chassis.errors import ModelsFailed
from chassis.guard.request import Request, Step


@dataclass(frozen=True, slots=True)
class Fallback:
    """Asks the next model where one fails; a mistake in our own code or the team's is no model's failure, and passes.

    Args:
        models: The walk to each model of the chain, in order.
    """

    models: tuple[Step, ...]

    async def ask(self, request: Request) -> ModelResponse:
        """Ask.

        Raises:
            ModelsFailed: No model gave a usable reply; what each did wrong is its cause.
        """
        failures: list[Exception] = []
        for model in self.models:
            try:
                return await model.ask(request)
            except (ModelAPIError, UnexpectedModelBehavior) as failure:
                failures.append(failure)
        raise ModelsFailed("No model gave a usable reply") from ExceptionGroup("every model failed", failures)


@dataclass(frozen=True, slots=True)
class PrepareMessages:
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
