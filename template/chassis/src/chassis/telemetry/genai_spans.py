"""Spans of requests to models, calls of tools and searches, after OpenTelemetry's conventions for generative AI.

None of them contains an argument, a result, a question or a document.
"""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, StatusCode, Tracer, TracerProvider, use_span
from opentelemetry.util.types import AttributeValue
from pydantic_ai.models.instrumented import InstrumentationSettings

from chassis.config.constraints import ModelConfig
from chassis.telemetry import names
from chassis.telemetry.instruments import SCOPE, Instruments
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
        self._tokens: dict[str, int] = {}
        self._labels: dict[str, AttributeValue] = {
            names.OPERATION_NAME: names.CHAT,
            names.PROVIDER_NAME: names.provider_name(config.provider),
            names.REQUEST_MODEL: config.model,
        }

    def __enter__(self) -> Self:
        attributes = {**self._labels, names.MODEL: self._config.name, names.REQUEST_MAX_TOKENS: self._max_tokens}
        self._open = self._instruments.span(names.chat_span(self._config.model), attributes, SpanKind.CLIENT)
        self._span = self._open.__enter__()
        self._started = time.perf_counter()
        return self

    def set_response(self, response: "ModelResponse", served: str | None) -> None:
        """Record why the model stopped and the tokens it used, but none of its text.

        Args:
            response: The reply.
            served: Which model answered, from a closed set, because metrics have it as a label.
        """
        self._tokens = {"input": response.usage.input_tokens, "output": response.usage.output_tokens}
        attributes: dict[str, AttributeValue] = {
            names.USAGE_INPUT_TOKENS: response.usage.input_tokens,
            names.USAGE_OUTPUT_TOKENS: response.usage.output_tokens,
        }
        if response.finish_reason is not None:
            attributes[names.RESPONSE_FINISH_REASONS] = [response.finish_reason]
        if served is not None:
            attributes[names.RESPONSE_MODEL] = self._labels[names.RESPONSE_MODEL] = served
        self._span.set_attributes(attributes)

    def set_cost(self, cost: NanoUsd) -> None:
        """Record what the request cost, whether or not it was answered."""
        self._span.set_attribute(names.COST_USD, to_usd(cost))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._labels[names.ERROR_TYPE] = kind.__name__
            self._span.set_attribute(names.ERROR_TYPE, kind.__name__)
            self._span.set_status(StatusCode.ERROR)
        self._instruments.operation_duration.record(time.perf_counter() - self._started, self._labels)
        for token_type, tokens in self._tokens.items():
            self._instruments.token_usage.record(tokens, {**self._labels, names.TOKEN_TYPE: token_type})
        self._open.__exit__(kind, error, traceback)


@contextmanager
def retrieval_span(source: str, limit: int) -> Generator[None]:
    """Record a search of the team's documents as the span `retrieval {source}`.

    Args:
        source: What is searched, such as `documents`.
        limit: The most passages that are wanted.
    """
    attributes = {names.OPERATION_NAME: names.RETRIEVAL, names.DATA_SOURCE_ID: source, names.REQUEST_TOP_K: limit}
    tracer = trace.get_tracer(SCOPE)
    # No exception is recorded, because its message may quote a question.
    with tracer.start_as_current_span(f"{names.RETRIEVAL} {source}", attributes=attributes, record_exception=False):
        yield


@lru_cache(maxsize=8)
def tool_instrumentation(instruments: Instruments) -> InstrumentationSettings:
    """Return settings with which pydantic-ai records calls of tools only: the guard records requests to models."""
    return InstrumentationSettings(
        tracer_provider=_ToolTracerProvider(instruments.tracer),
        meter_provider=NoOpMeterProvider(),
        include_content=False,
        include_binary_content=False,
        include_model_request_parameters=False,
    )


class _ToolTracerProvider(TracerProvider):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return _ToolTracer(self._tracer)


class _ToolTracer(Tracer):
    """Starts the spans of tools. In place of any other span it returns its parent, which then records nothing twice."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, _name: str, context: Any = None, *_: Any, attributes: Any = None, **__: Any) -> Span:
        """Start the span of a tool with the attributes of the conventions."""
        known: Mapping[str, Any] = attributes or {}
        if known.get(names.OPERATION_NAME) != names.EXECUTE_TOOL:
            return NonRecordingSpan(trace.get_current_span(context).get_span_context())
        kept = {key: value for key, value in known.items() if key.startswith("gen_ai.tool.")}
        operation = {names.OPERATION_NAME: names.EXECUTE_TOOL, names.TOOL_TYPE: "function"}
        return self._tracer.start_span(
            f"{names.EXECUTE_TOOL} {known.get(names.TOOL_NAME)}", context, attributes=operation | kept
        )

    @contextmanager
    def start_as_current_span(  # pyright: ignore[reportIncompatibleMethodOverride] - the base has its own contextmanager
        self, name: str, *args: Any, end_on_exit: bool = True, **options: Any
    ) -> Generator[Span]:
        """Start such a span and make it the current one; an exception that passes is not recorded."""
        span = self.start_span(name, *args, **options)
        with use_span(span, end_on_exit=end_on_exit, record_exception=False, set_status_on_exception=False):
            yield span
