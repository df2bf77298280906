"""Starts tracing and metrics for one service, and flushes them when the service stops.

If the environment names an OTLP endpoint, spans and metrics are sent there. If not, spans are stored in a local file
(`spans.py`). Metrics can always be scraped from `/metrics`.

Every start creates providers of its own, so that tests can start several services. The first ones in a process also
become OpenTelemetry's global providers, so that spans of the team's code and of libraries join the same traces.
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
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, ExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from chassis.config.environment import is_http_url
from chassis.config.toml_file import shown_value
from chassis.errors import ConfigError
from chassis.telemetry import names
from chassis.telemetry.instruments import SCOPE, Instruments, create_instruments
from chassis.telemetry.local_traces import CONTENT_FILE, TRACES_FILE, ContentLog, SpanStore
from chassis.telemetry.logs import LogStream

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig  # importing FastAPI here would slow every command down

type FastApiTelemetry = TelemetryConfig

log = structlog.get_logger()

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SIGNAL_ENDPOINTS = {"traces": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "metrics": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}
FLUSH_SECONDS = 5
"""The time that a shutdown waits for a collector that does not answer."""
LOCAL_DELAY_MILLIS = 200
"""The delay until a span is in the local file. It is short, because people run `chassis trace` right after a call."""
PROBE_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Requested every few seconds by orchestrators and monitoring. They are not traced, and never wait for a slot."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The origin of spans and metrics, which each of them names.

    `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` in the environment override it.

    Args:
        service: The name of the service.
        version: Its version.
        environment: Where it runs, such as `production`.
        owner: The handle of the team that is accountable for it.
    """

    service: str
    version: str
    environment: str
    owner: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry of a running service."""

    tracers: TracerProvider
    meters: MeterProvider
    instruments: Instruments
    registry: CollectorRegistry

    def for_fastapi(self) -> FastApiTelemetry:
        """Return the argument `telemetry` of `FastAPI`: one server span and one duration for each request.

        FastAPI continues an incoming `traceparent`. Its log records are off, because they contain messages of
        exceptions. Its spans within a request are off, because they double the overhead and show nothing useful.
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
        """Return the body of `/metrics` and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def shutdown(self) -> None:
        """Flush spans and metrics and stop, within `FLUSH_SECONDS` even if the collector does not answer."""
        # The SDK's own timeouts are longer, and add up. A daemon thread that still waits does not block the exit.
        threads = [Thread(target=provider.shutdown, daemon=True) for provider in (self.tracers, self.meters)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + FLUSH_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def start_telemetry(identity: Identity, var: Path) -> Telemetry:
    """Start to record.

    Args:
        identity: The origin of the spans and metrics.
        var: The folder of the local file of traces.

    Raises:
        ConfigError: An OTLP variable is invalid.
    """
    resource = _resource(identity)
    registry = CollectorRegistry()
    # A registry of its own, because the global one of prometheus_client would mix the metrics of several services.
    readers: list[MetricReader] = [PrometheusMetricReader(registry=registry, scope_info_enabled=False)]
    exemplars: ExemplarFilter | None = AlwaysOffExemplarFilter()  # `/metrics` has no place for them
    if otlp_endpoint("metrics"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        exemplars = None  # as the environment says; by default those of sampled traces
    tracers, meters = TracerProvider(_sampler(), resource), MeterProvider(readers, resource, exemplar_filter=exemplars)
    if processor := _span_processor(var):
        tracers.add_span_processor(processor)
    _count_lost_lines(meters)
    _set_global_providers(tracers, meters)
    # The only content log: outside of development there is none to write to.
    content = ContentLog(var / CONTENT_FILE) if identity.environment == "development" else None
    return Telemetry(tracers, meters, create_instruments(tracers, meters, content), registry)


def otlp_endpoint(signal: str) -> str | None:
    """Return the OTLP endpoint in the environment for `traces` or `metrics`, or None if there is none.

    Raises:
        ConfigError: It is not an HTTP URL, or the protocol is not supported.
    """
    variable = next((name for name in (SIGNAL_ENDPOINTS[signal], ENDPOINT) if os.environ.get(name)), None)
    if variable is None:
        return None
    endpoint = os.environ[variable]
    if not is_http_url(endpoint):
        raise ConfigError(
            variable, f"the value is {shown_value(endpoint)}", "Write a URL such as http://localhost:4318"
        )
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        remedy = "Write http/protobuf, and the HTTP endpoint of the collector, which usually has port 4318"
        raise ConfigError("OTEL_EXPORTER_OTLP_PROTOCOL", f"the value is {protocol!r}", remedy)
    return endpoint


def _resource(identity: Identity) -> Resource:
    attributes: dict[str, Any] = {
        names.SERVICE_NAME: identity.service,
        names.SERVICE_VERSION: identity.version,
        names.SERVICE_INSTANCE_ID: str(uuid4()),
        names.DEPLOYMENT_ENVIRONMENT_NAME: identity.environment,
        names.OWNER: identity.owner,
    }
    # `Resource.create` reads the environment too, but lets the attributes override it. The second merge reverses that.
    return Resource.create(attributes).merge(OTELResourceDetector().detect())


def _sampler() -> Sampler | None:
    """Record every trace unless the environment says otherwise. The SDK would let callers decide by `traceparent`."""
    if os.environ.get(OTEL_TRACES_SAMPLER):
        return None
    return ParentBased(ALWAYS_ON, remote_parent_not_sampled=ALWAYS_ON)


def _span_processor(var: Path) -> BatchSpanProcessor | None:
    if otlp_endpoint("traces"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return BatchSpanProcessor(OTLPSpanExporter())
    try:
        return BatchSpanProcessor(SpanStore(var / TRACES_FILE), schedule_delay_millis=LOCAL_DELAY_MILLIS)
    except (OSError, sqlite3.Error) as error:
        log.warning("spans.not_stored", folder=str(var), reason=str(error))  # without traces the service still works
        return None


def _count_lost_lines(meters: MeterProvider) -> None:
    meters.get_meter(SCOPE).create_observable_counter(
        names.LOG_LOST_LINES,
        [lambda _: [metrics.Observation(LogStream.lost)]],
        "{line}",
        "Log lines that could not be written, of this process.",
    )


def _set_global_providers(tracers: TracerProvider, meters: MeterProvider) -> None:
    # OpenTelemetry accepts global providers only once, and logs a warning the second time.
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(meters)
