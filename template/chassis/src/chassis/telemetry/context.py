"""The trace that the running code is part of, as other systems write it."""

from opentelemetry import propagate, trace


def current_ids() -> tuple[str, str] | None:
    """Return trace id and span id in hexadecimal, or None outside of any span."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def current_trace_id() -> str | None:
    """Return the trace id that a caller may be told, or None outside of any span."""
    ids = current_ids()
    return ids[0] if ids else None


def outgoing_headers() -> dict[str, str]:
    """Return the W3C headers that let another service continue this trace, such as `traceparent`."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers
