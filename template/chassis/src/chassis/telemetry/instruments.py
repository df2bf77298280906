"""The tracer and the metric instruments of the chassis, made once for each running telemetry.

OpenTelemetry lets a process set its global providers only once. So nothing here uses them while a telemetry of ours
runs: `current()` names the instruments of the one that started last, and after its shutdown those of the one before.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from opentelemetry import metrics, trace
from opentelemetry.metrics import Counter, Histogram, MeterProvider, UpDownCounter
from opentelemetry.metrics import _Gauge as Gauge  # pyright: ignore[reportPrivateUsage] - it has no other name yet
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from chassis.telemetry import names

SCOPE = "chassis"
SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))
"""The bucket boundaries that the conventions ask for; calls without a model need the two smallest."""


@dataclass(frozen=True, slots=True)
class Instruments:
    """What the chassis records with."""

    tracer: Tracer
    call_duration: Histogram
    calls: Counter
    degraded_calls: Counter
    slow_calls: Counter
    circuit_breakers_open: UpDownCounter
    kill_switch_on: UpDownCounter
    cost: Counter
    attempts: Counter
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
    database_up: Gauge

    def span(
        self, name: str, attributes: Mapping[str, AttributeValue] | None = None, kind: SpanKind = SpanKind.INTERNAL
    ) -> AbstractContextManager[Span]:
        """Open a span. Exceptions that pass are not written into it: their messages may quote a question."""
        return self.tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        )


def instruments_of(tracers: TracerProvider, meters: MeterProvider) -> Instruments:
    """Make the instruments on these providers."""
    meter = meters.get_meter(SCOPE)

    def histogram(name: str, unit: str, description: str, boundaries: tuple[float, ...]) -> Histogram:
        return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=boundaries)

    def dollars(name: str, description: str) -> Gauge:
        return meter.create_gauge(name, "{USD}", description)

    return Instruments(
        tracer=tracers.get_tracer(SCOPE),
        call_duration=histogram(names.CALL_DURATION, "s", "Duration of calls.", SECONDS),
        calls=meter.create_counter(names.CALLS, "{call}", "Calls, by how they ended and who answered."),
        degraded_calls=meter.create_counter(
            names.DEGRADED_CALLS, "{call}", "Calls that the first model should have answered."
        ),
        slow_calls=meter.create_counter(names.SLOW_CALLS, "{call}", "Calls that took longer than p95_seconds."),
        circuit_breakers_open=meter.create_up_down_counter(
            names.CIRCUIT_BREAKERS_OPEN, "1", "1 while a model or a destination rests."
        ),
        kill_switch_on=meter.create_up_down_counter(
            names.KILL_SWITCH_ON, "1", "1 while people have the models switched off."
        ),
        cost=meter.create_counter(names.COST_USD, "{USD}", "What models were paid, in US dollars."),
        attempts=meter.create_counter(names.MODEL_ATTEMPTS, "{attempt}", "Requests sent to models."),
        referrals=meter.create_counter(names.REFERRALS, "{referral}", "Calls handed to a person."),
        operation_duration=histogram(names.OPERATION_DURATION, "s", "GenAI operation duration.", SECONDS),
        token_usage=histogram(names.TOKEN_USAGE, "{token}", "Number of input and output tokens used.", TOKENS),
        budget_spent=dollars(names.BUDGET_SPENT, "Spent in this period."),
        budget_reserved=dollars(names.BUDGET_RESERVED, "Set aside for requests under way, and for lost ones."),
        budget_remaining=dollars(names.BUDGET_REMAINING, "What can still be held in this period."),
        budget_limit=dollars(names.BUDGET_LIMIT, "The ceiling of this period."),
        budget_forecast=dollars(names.BUDGET_FORECAST, "Spent by the end of the month if it goes on like this."),
        budget_lost_reservations=meter.create_gauge(
            names.BUDGET_LOST_RESERVATIONS, "{hold}", "Holds lost with their processes."
        ),
        review_open=meter.create_gauge(names.REVIEW_OPEN, "{referral}", "Referrals that wait for a person."),
        review_overdue=meter.create_gauge(names.REVIEW_OVERDUE, "{referral}", "Those that should have been answered."),
        database_up=meter.create_gauge(names.DATABASE_UP, "1", "1 if the database answered at the last look, else 0."),
    )


_in_use = [instruments_of(trace.get_tracer_provider(), metrics.get_meter_provider())]
"""The first belongs to whatever global providers the process has; they record nothing until somebody sets them."""


def current() -> Instruments:
    """Return the instruments to record with now."""
    return _in_use[-1]


def use(instruments: Instruments) -> None:
    """Let `current()` return these until `drop`."""
    _in_use.append(instruments)


def drop(instruments: Instruments) -> None:
    """Undo `use`, wherever these stand; a second time does nothing."""
    _in_use[:] = [other for other in _in_use if other is not instruments]
