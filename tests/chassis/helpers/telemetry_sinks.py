"""Where tests receive telemetry: a stream for log lines, and an OTLP collector."""

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import structlog
from chassis.telemetry.local_traces import TRACES_FILE, SpanStore, StoredSpan
from chassis.telemetry.logs import configure_logs
from chassis.telemetry.setup import Identity, Telemetry, start_telemetry
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Lines(StringIO):
    """A stream for log lines in JSON."""

    def parsed(self) -> list[dict[str, Any]]:
        """Return every line so far."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self.parsed() if line["event"] == event]


@contextmanager
def production_lines() -> Generator[Lines]:
    """Configure logs as in production, and restore the previous configuration afterwards."""
    root, lines = logging.getLogger(), Lines()
    handlers, level = root.handlers[:], root.level
    configure_logs(production=True, stream=lines)
    try:
        yield lines
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


@dataclass
class Collector:
    """An OTLP/HTTP collector that keeps what it receives."""

    url: str
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)

    def spans(self) -> list[Any]:
        """Return every span received."""
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metric_names(self) -> set[str]:
        """Return the name of every metric received."""
        return {metric.name for metric in self._metrics()}

    def exemplars(self) -> list[Any]:
        """Return the exemplars of every histogram received."""
        points = [point for metric in self._metrics() for point in metric.histogram.data_points]
        return [exemplar for point in points for exemplar in point.exemplars]

    def _metrics(self) -> list[Any]:
        return [
            metric
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]


@contextmanager
def collecting() -> Generator[Collector]:
    """Run a collector on a free port."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep one request."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.traces.append(ExportTraceServiceRequest.FromString(body))
            else:
                collector.metrics.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield collector
        server.shutdown()


def started(folder: Path) -> Telemetry:
    """Start telemetry as a service does."""
    return start_telemetry(Identity("acme-help", "1.2.3", "test", "@acme/ai"), folder)


def stored(folder: Path, identifier: str | None = None) -> list[StoredSpan]:
    """Return a trace that was stored in `folder`, by default the newest."""
    store = SpanStore(folder / TRACES_FILE)
    spans = store.find(identifier) if identifier else store.newest()
    store.shutdown()
    return spans
