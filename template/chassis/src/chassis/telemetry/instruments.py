"""The tracer and the metric instruments that the chassis records with, and the trace that is being recorded.

`wiring.py` hands them to every part that records something. None of them come from OpenTelemetry's global providers,
which a process can set only once: a test may start several services, one after another or side by side.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.metrics import (
    Counter,
    Histogram,
    Meter,
    MeterProvider,
    NoOpMeterProvider,
    Observation,
    UpDownCounter,
)
from opentelemetry.metrics import _Gauge as Gauge  # pyright: ignore[reportPrivateUsage] - it has no other name yet
from opentelemetry.trace import NoOpTracerProvider, Span, SpanKind, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from chassis.telemetry import names

if TYPE_CHECKING:
    from chassis.telemetry.local_traces import ContentLog

SCOPE = "chassis"
DURATION_BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Upper bounds in seconds. OpenTelemetry's GenAI conventions begin at 0.01; a call without a model takes less."""
TOKEN_BUCKETS = tuple(4**power for power in range(14))
"""Upper bounds in tokens, as the GenAI conventions recommend."""


class RunningTotal:
    """A counter of the SDK that is asked for its totals when metrics are collected: adding takes a tenth of the time.

    Args:
        meter: Creates the counter.
        name: Its name.
        unit: Its unit.
        description: What it counts.
    """

    def __init__(self, meter: Meter, name: str, unit: str, description: str) -> None:
        self._totals: dict[tuple[tuple[str, AttributeValue], ...], float] = {}
        meter.create_observable_counter(name, [lambda _: self._observe()], unit, description)

    def add(self, amount: float, attributes: Mapping[str, AttributeValue]) -> None:
        """Count something under its attributes."""
        key = tuple(attributes.items())
        self._totals[key] = self._totals.get(key, 0) + amount

    def _observe(self) -> Iterator[Observation]:
        for attributes, total in list(self._totals.items()):
            yield Observation(total, dict(attributes))


class CurrentSpan(AbstractContextManager[Span]):
    """Makes a span the parent of those that start within the context, and ends it with the context.

    OpenTelemetry's `use_span` also records exceptions, which takes as long as all the rest.
    """

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token = attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, *_: object) -> None:
        detach(self._token)
        self._span.end()


@dataclass(frozen=True, slots=True)
class Instruments:
    """One tracer, and one instrument for each metric in `names.py`."""

    tracer: Tracer
    call_duration: Histogram
    calls: RunningTotal
    degraded_calls: Counter
    slow_calls: RunningTotal
    circuit_breakers_open: UpDownCounter
    kill_switch_on: UpDownCounter
    cost: RunningTotal
    attempts: RunningTotal
    referrals: Counter
    operation_duration: Histogram
    token_usage: Histogram
    budget_spent: Gauge
    budget_reserved: Gauge
    budget_remaining: Gauge
    budget_limit: Gauge
    budget_forecast: Gauge
    budget_lost_reservations: Gauge
    review_open: Gauge
    review_overdue: Gauge
    retention_deleted: Counter
    feedback: Counter
    notifications_failing: Gauge
    drift_evidence: Gauge
    drift_alarms: Gauge
    drift_last_check: Gauge
    success_value: Gauge
    success_observations: Gauge
    database_up: Gauge
    content: "ContentLog | None" = None
    """What models were sent and replied; None in production."""

    def span(
        self, name: str, attributes: Mapping[str, AttributeValue] | None = None, kind: SpanKind = SpanKind.INTERNAL
    ) -> AbstractContextManager[Span]:
        """Open a span. It never records an exception that passes, because the message may quote a question."""
        return CurrentSpan(self.tracer.start_span(name, kind=kind, attributes=attributes))


def create_instruments(
    tracers: TracerProvider, meters: MeterProvider, content: "ContentLog | None" = None
) -> Instruments:
    """Create the instruments on these providers."""
    meter = meters.get_meter(SCOPE)

    def histogram(name: str, unit: str, description: str, boundaries: tuple[float, ...]) -> Histogram:
        return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=boundaries)

    def dollars(name: str, description: str) -> Gauge:
        return meter.create_gauge(name, "{USD}", description)

    return Instruments(
        tracer=tracers.get_tracer(SCOPE),
        call_duration=histogram(names.CALL_DURATION, "s", "Duration of calls.", DURATION_BUCKETS),
        calls=RunningTotal(meter, names.CALLS, "{call}", "Calls, by outcome and by who answered."),
        degraded_calls=meter.create_counter(
            names.DEGRADED_CALLS, "{call}", "Calls that the first model did not answer although it should have."
        ),
        slow_calls=RunningTotal(meter, names.SLOW_CALLS, "{call}", "Calls that took longer than latency.p95_seconds."),
        circuit_breakers_open=meter.create_up_down_counter(
            names.CIRCUIT_BREAKERS_OPEN, "1", "1 while the circuit breaker of a model or a destination is open."
        ),
        kill_switch_on=meter.create_up_down_counter(names.KILL_SWITCH_ON, "1", "1 while the models are switched off."),
        cost=RunningTotal(meter, names.COST_USD, "{USD}", "Cost of model requests in US dollars."),
        attempts=RunningTotal(meter, names.MODEL_ATTEMPTS, "{attempt}", "Requests sent to models."),
        referrals=meter.create_counter(names.REFERRALS, "{referral}", "Calls referred to a person."),
        operation_duration=histogram(names.OPERATION_DURATION, "s", "GenAI operation duration.", DURATION_BUCKETS),
        token_usage=histogram(names.TOKEN_USAGE, "{token}", "Number of input and output tokens used.", TOKEN_BUCKETS),
        budget_spent=dollars(names.BUDGET_SPENT, "Spent in this period."),
        budget_reserved=dollars(names.BUDGET_RESERVED, "Reserved for requests in progress, and for lost ones."),
        budget_remaining=dollars(names.BUDGET_REMAINING, "What can still be reserved in this period."),
        budget_limit=dollars(names.BUDGET_LIMIT, "Budget limit of this period."),
        budget_forecast=dollars(names.BUDGET_FORECAST, "Forecast of what will be spent by the end of the month."),
        budget_lost_reservations=meter.create_gauge(
            names.BUDGET_LOST_RESERVATIONS, "{reservation}", "Reservations whose process died before it settled them."
        ),
        review_open=meter.create_gauge(names.REVIEW_OPEN, "{referral}", "Referrals waiting for a person."),
        review_overdue=meter.create_gauge(names.REVIEW_OVERDUE, "{referral}", "Referrals past their due time."),
        retention_deleted=meter.create_counter(
            names.RETENTION_DELETED, "{row}", "Rows that were deleted at the end of their retention."
        ),
        feedback=meter.create_counter(names.FEEDBACK, "{feedback}", "Feedback of callers, by verdict."),
        notifications_failing=meter.create_gauge(
            names.NOTIFICATIONS_FAILING, "{notification}", "Notifications that could not be sent yet."
        ),
        drift_evidence=meter.create_gauge(
            names.DRIFT_EVIDENCE, "1", "Evidence for a rise of a failure rate; 1 raises an alarm of quality drift."
        ),
        drift_alarms=meter.create_gauge(names.DRIFT_ALARMS, "{alarm}", "Open alarms of quality drift, by signal."),
        drift_last_check=meter.create_gauge(
            names.DRIFT_LAST_CHECK, "s", "Time of the last check for quality drift, in seconds since 1970."
        ),
        success_value=meter.create_gauge(
            names.SUCCESS_VALUE, "1", "Value of the metric of [success] over the last 28 days."
        ),
        success_observations=meter.create_gauge(
            names.SUCCESS_OBSERVATIONS, "{observation}", "Calls, ratings or verdicts that the value is of."
        ),
        database_up=meter.create_gauge(
            names.DATABASE_UP, "1", "1 if the database could be written when last tried, else 0."
        ),
        content=content,
    )


NO_INSTRUMENTS = create_instruments(NoOpTracerProvider(), NoOpMeterProvider())
"""Instruments that record nothing, for commands that serve no calls."""


def current_ids() -> tuple[str, str] | None:
    """Return the trace id and the span id in hexadecimal, or None outside of any span."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def current_trace_id() -> str | None:
    """Return the trace id in hexadecimal, or None outside of any span."""
    ids = current_ids()
    return ids[0] if ids else None


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id in a W3C header `traceparent`."""
    return traceparent.split("-")[1] if traceparent else None


def context_of(traceparent: str | None) -> Context:
    """Return the context in which a new span continues the trace of a W3C header `traceparent`."""
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent} if traceparent else {}, Context())


def outgoing_headers() -> dict[str, str]:
    """Return the W3C header `traceparent`, with which another service continues the trace, or nothing outside of one.

    A caller's `tracestate` and `baggage` may contain anything, and are not passed on.
    """
    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return {name: value for name, value in headers.items() if name == "traceparent"}
