"""Records one request to one model: the span `chat {model}`, its duration and the tokens it used.

Names and attributes follow OpenTelemetry's semantic conventions for generative AI.
"""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from chassis.config.constraints import ModelConfig
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments
from chassis.usd import NanoUsd, to_usd

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


class ChatSpan:
    """A context manager around one request; an exception marks the request as failed and propagates.

    Args:
        instruments: What the request is recorded with.
        config: The model that is asked.
        max_tokens: The cap on output tokens that is sent with the request.
    """

    def __init__(self, instruments: Instruments, config: ModelConfig, max_tokens: int) -> None:
        self._instruments, self._config, self._max_tokens = instruments, config, max_tokens
        self._open = ExitStack()
        self._tokens: dict[str, int] = {}
        self._labels: dict[str, AttributeValue] = {
            names.OPERATION_NAME: names.CHAT,
            names.PROVIDER_NAME: names.provider_name(config.provider),
            names.REQUEST_MODEL: config.model,
        }

    def __enter__(self) -> Self:
        attributes = {**self._labels, names.MODEL: self._config.name, names.REQUEST_MAX_TOKENS: self._max_tokens}
        span = self._instruments.span(names.chat_span(self._config.model), attributes, SpanKind.CLIENT)
        self._span = self._open.enter_context(span)
        self._started = time.perf_counter()
        return self

    def set_response(self, response: "ModelResponse", served: str | None) -> None:
        """Record why the model stopped and the tokens it used, but none of its text.

        Args:
            response: The reply.
            served: Which model answered, from a closed set, because metrics have it as a label.
        """
        self._tokens = {"input": response.usage.input_tokens, "output": response.usage.output_tokens}
        self._span.set_attribute(names.USAGE_INPUT_TOKENS, response.usage.input_tokens)
        self._span.set_attribute(names.USAGE_OUTPUT_TOKENS, response.usage.output_tokens)
        if response.finish_reason is not None:
            self._span.set_attribute(names.RESPONSE_FINISH_REASONS, [response.finish_reason])
        if served is not None:
            self._span.set_attribute(names.RESPONSE_MODEL, served)
            self._labels[names.RESPONSE_MODEL] = served

    def set_cost(self, cost: NanoUsd) -> None:
        """Record what the request cost, whether or not it was answered."""
        self._span.set_attribute(names.COST_USD, to_usd(cost))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._open:
            if kind is not None:
                self._labels[names.ERROR_TYPE] = kind.__name__
                self._span.set_attribute(names.ERROR_TYPE, kind.__name__)
                self._span.set_status(StatusCode.ERROR)
            self._instruments.operation_duration.record(time.perf_counter() - self._started, self._labels)
            for token_type, tokens in self._tokens.items():
                self._instruments.token_usage.record(tokens, {**self._labels, names.TOKEN_TYPE: token_type})
