"""The model that a task is given: to pydantic-ai an ordinary one, and behind it the whole walk, each time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import CompletedStreamedResponse, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Call
from chassis.guard.pipeline import Guard, pipeline
from chassis.guard.request import Request
from chassis.guard.request_check import check_settings, check_tools


class GuardedModel(FallbackModel):
    """The model that a task is given. Whatever an agent or a tool loop sends through it takes the walk, each time.

    To pydantic-ai it is a `FallbackModel` over the chain's models, so that prompts and tools are prepared for each; but
    none of those listed can be asked alone.

    Args:
        guard: The process's guards.
        call: The call that is charged, timed and counted.
    """

    def __init__(self, guard: Guard, call: Call) -> None:
        super().__init__(*(DescribeOnlyModel(link.model) for link in guard.candidates))
        self._guard, self._call = guard, call

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Take the walk.

        Raises:
            ModelsFailed: No model of the chain gave a usable reply, the call's time or turns are used up, or the models
                are switched off.
            BudgetExhausted: The worst case does not fit into a budget; nothing was sent.
            ConfigError: A tool is offered that `constraints.toml` does not declare, or a setting is made whose cost
                nobody can hold.
        """
        check_settings(model_settings)
        check_tools(model_request_parameters.function_tools, self._guard.constraints.tools)
        request = Request(messages, model_settings, model_request_parameters)
        return await pipeline(self._guard, self._call.turn()).ask(request)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002 - pydantic-ai passes it; the walk needs none of it
    ) -> AsyncGenerator[StreamedResponse]:
        """Take the same walk and hand the reply over in one piece: a reply is checked before anybody sees it."""
        response = await self.request(messages, model_settings, model_request_parameters)
        yield CompletedStreamedResponse(response, model_request_parameters=model_request_parameters, replay_events=True)


class DescribeOnlyModel(WrapperModel):
    """Tells pydantic-ai what a model can do, and refuses to pass anything on."""

    async def request(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always; it is a mistake in code.
        """
        raise TypeError(f"{self.model_name} cannot be asked past the guards; ask the model that the task was given")

    async def count_tokens(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, as `request` does: counting sends the whole prompt."""
        await self.request()

    @asynccontextmanager
    async def request_stream(self, *_: Any, **__: Any) -> AsyncGenerator[StreamedResponse]:
        """Refuse, as `request` does."""
        yield await self.request()
