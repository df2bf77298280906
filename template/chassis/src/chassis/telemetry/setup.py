"""Starts spans and metrics for one service, and makes sure that nothing is lost when it stops.

With an OTLP endpoint in the environment both go there. Without one, spans go to a file of this machine (`spans.py`);
metrics can always be scraped. Each start makes providers of its own, so that a test may start and stop as often as it
likes; the first of a process also become OpenTelemetry's global ones, so that spans of the team's code and of libraries
join the same traces.
"""

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from opentelemetry import metrics, trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from chassis.errors import ConfigError
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments, create_instruments
from chassis.telemetry.spans import TRACES_FILE, SpanStore

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

log = structlog.get_logger()

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SIGNAL_ENDPOINTS = {"traces": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "metrics": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}
FLUSH_SECONDS = 5
"""How long a shutdown waits for a collector that does not answer."""
LOCAL_DELAY_MILLIS = 200
"""How soon a span can be read from the local file: a person who just asked looks at once."""
PROBE_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Machines ask for these every few seconds, and nobody asks what became of it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose telemetry it is; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over all of it.

    Args:
        service: Which service.
        version: Its version.
        environment: Where it runs, such as `production`.
        owner: The handle of the team that answers for it.
    """

    service: str
    version: str
    environment: str
    owner: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry of one service while it runs."""

    tracers: TracerProvider
    meters: MeterProvider
    instruments: Instruments
    registry: CollectorRegistry

    def for_fastapi(self) -> "TelemetryConfig":
        """Return what `FastAPI(telemetry=…)` needs for one server span and one duration per request.

        FastAPI continues an incoming `traceparent`. Its log records are off because they hold messages of exceptions,
        its spans inside the request because they double the cost and show nothing of ours.
        """
        return {
            "tracer_provider": self.tracers,
            "meter_provider": self.meters,
            "operation_spans": False,
            "logs": False,
            "auto_configure": False,
            "exclude": lambda scope: scope.get("path") in PROBE_PATHS,
        }

    def metrics_page(self) -> tuple[bytes, str]:
        """Return what `/metrics` answers, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def shutdown(self) -> None:
        """Send or store what is left, then stop; a collector that does not answer is waited for only so long."""
        flushing = [Thread(target=provider.shutdown, daemon=True) for provider in (self.tracers, self.meters)]
        for thread in flushing:
            thread.start()
        deadline = time.monotonic() + FLUSH_SECONDS
        for thread in flushing:
            thread.join(max(0.0, deadline - time.monotonic()))


def start_telemetry(whose: Identity, var: Path) -> Telemetry:
    """Begin to record.

    Args:
        whose: What each span and metric says about where it comes from.
        var: The folder for the local file of traces.

    Raises:
        ConfigError: An OTLP variable says something that cannot be meant.
    """
    resource = _resource(whose)
    registry = CollectorRegistry()
    readers: list[MetricReader] = [PrometheusMetricReader(registry=registry, scope_info_enabled=False)]
    if otlp_endpoint("metrics"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    tracers, meters = TracerProvider(resource=resource), MeterProvider(readers, resource)
    if processor := _span_processor(var):
        tracers.add_span_processor(processor)
    _offer_globally(tracers, meters)
    return Telemetry(tracers, meters, create_instruments(tracers, meters), registry)


def otlp_endpoint(signal: str) -> str | None:
    """Return where the environment sends `traces` or `metrics`, or None if nowhere.

    Raises:
        ConfigError: It is no HTTP address, or a protocol is asked for that we do not speak.
    """
    variable = next((name for name in (SIGNAL_ENDPOINTS[signal], ENDPOINT) if os.environ.get(name)), None)
    if variable is None:
        return None
    endpoint = os.environ[variable]
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(variable, f"the value is {endpoint!r}", "Write an address such as http://localhost:4318")
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        remedy = "Write http/protobuf, and the collector's HTTP address, usually with port 4318"
        raise ConfigError("OTEL_EXPORTER_OTLP_PROTOCOL", f"the value is {protocol!r}", remedy)
    return endpoint


def _resource(whose: Identity) -> Resource:
    ours: dict[str, Any] = {
        names.SERVICE_NAME: whose.service,
        names.SERVICE_VERSION: whose.version,
        names.SERVICE_INSTANCE_ID: str(uuid4()),
        names.DEPLOYMENT_ENVIRONMENT_NAME: whose.environment,
        names.OWNER: whose.owner,
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())


def _span_processor(var: Path) -> BatchSpanProcessor | None:
    if otlp_endpoint("traces"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return BatchSpanProcessor(OTLPSpanExporter())
    try:
        return BatchSpanProcessor(SpanStore(var / TRACES_FILE), schedule_delay_millis=LOCAL_DELAY_MILLIS)
    except (OSError, sqlite3.Error) as error:
        log.warning("spans.not_stored", folder=str(var), reason=str(error))  # a full or read-only disk stops no service
        return None


def _offer_globally(tracers: TracerProvider, meters: MeterProvider) -> None:
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(meters)
