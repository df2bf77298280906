"""Spans of what happens between requests to models: each call of a tool, and each search of documents.

Names and attributes follow OpenTelemetry's semantic conventions for generative AI. None of them contains an argument, a
result, a question or a document.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NonRecordingSpan, Span, Tracer, TracerProvider, use_span
from pydantic_ai.models.instrumented import InstrumentationSettings

from chassis.telemetry import names
from chassis.telemetry.instruments import SCOPE, Instruments


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
