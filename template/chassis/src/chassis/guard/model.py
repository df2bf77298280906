"""The model that a task is given: an ordinary pydantic-ai model that sends every request through the pipeline."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import CompletedStreamedResponse, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Call
from chassis.guard.pipeline import Guard, pipeline
from chassis.guard.request import Request, check_settings, check_tools


class GuardedModel(FallbackModel):
    """A model for one call.

    pydantic-ai takes it for a `FallbackModel` over the models of the chain, and prepares prompts and tools so that each
    of them understands them. The models themselves are not reachable through it.

    Args:
        guard: What all calls of the process share.
        call: The call that the requests belong to.
    """

    def __init__(self, guard: Guard, call: Call) -> None:
        vars(self).update(vars(guard.described_chain))  # building it anew takes longer than redacting a question
        self._guard, self._call = guard, call

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Send a request through the pipeline.

        Raises:
            ModelsFailed: No model of the chain gave a usable reply, the call has used up its time or its number of
                model requests, or the models are switched off.
            BudgetExhausted: The budgets do not cover the worst case; nothing was sent.
            DatabaseUnavailable: No money can be reserved; nothing was sent.
            InputNotAllowed: The request contains something that cannot be redacted, or whose cost has no upper bound.
            ConfigError: The request offers a tool that `constraints.toml` does not declare, or has a setting that
                changes its cost.
        """
        check_settings(model_settings)
        check_tools(model_request_parameters.function_tools, self._guard.constraints.tools)
        request = Request(messages, model_settings, model_request_parameters)
        return await pipeline(self._guard, self._call.new_turn()).ask(request)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002 - part of pydantic-ai's signature
    ) -> AsyncGenerator[StreamedResponse]:
        """Send a request through the pipeline and yield its reply in one piece, because replies are checked whole."""
        response = await self.request(messages, model_settings, model_request_parameters)
        yield CompletedStreamedResponse(response, model_request_parameters=model_request_parameters, replay_events=True)
