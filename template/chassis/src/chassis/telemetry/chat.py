"""Records one request to one model: the span `chat {model}`, how long it took and how many tokens it used."""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from chassis.config.constraints import ModelConfig
from chassis.telemetry import names
from chassis.telemetry.instruments import current
from chassis.usd import NanoUsd, to_usd

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


class ChatSpan:
    """A context around sending one request; an exception marks the request as failed and passes.

    Args:
        link: The model that is asked.
        max_tokens: The output cap that is sent along.
    """

    def __init__(self, link: ModelConfig, max_tokens: int) -> None:
        self._link, self._max_tokens = link, max_tokens
        self._instruments = current()
        self._open = ExitStack()
        self._tokens: dict[str, int] = {}
        self._labels: dict[str, AttributeValue] = {
            names.OPERATION_NAME: names.CHAT,
            names.PROVIDER_NAME: names.provider_name(link.provider),
            names.REQUEST_MODEL: link.model,
        }

    def __enter__(self) -> Self:
        attributes = {**self._labels, names.MODEL: self._link.name, names.REQUEST_MAX_TOKENS: self._max_tokens}
        span = self._instruments.span(names.chat_span(self._link.model), attributes, SpanKind.CLIENT)
        self._span = self._open.enter_context(span)
        self._started = time.perf_counter()
        return self

    def answered(self, response: "ModelResponse") -> None:
        """Record who answered, why it stopped and what it used; nothing of what it said."""
        self._tokens = {"input": response.usage.input_tokens, "output": response.usage.output_tokens}
        self._span.set_attribute(names.USAGE_INPUT_TOKENS, response.usage.input_tokens)
        self._span.set_attribute(names.USAGE_OUTPUT_TOKENS, response.usage.output_tokens)
        if response.finish_reason is not None:
            self._span.set_attribute(names.RESPONSE_FINISH_REASONS, [response.finish_reason])
        if response.model_name is not None:
            self._span.set_attribute(names.RESPONSE_MODEL, response.model_name)
            self._labels[names.RESPONSE_MODEL] = response.model_name

    def charged(self, cost: NanoUsd) -> None:
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
