"""Stores the newest traces in a local SQLite file, for a service without an OpenTelemetry backend."""

import json
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from chassis.config.project import private_file
from chassis.telemetry import names

TRACES_FILE = "traces.db"
CREATE = """
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT, name TEXT NOT NULL,
    started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, failed INTEGER NOT NULL,
    attributes TEXT NOT NULL, call_id TEXT
);
CREATE INDEX IF NOT EXISTS spans_by_trace ON spans (trace_id);
CREATE INDEX IF NOT EXISTS spans_by_call ON spans (call_id) WHERE call_id IS NOT NULL;
"""
DELETE_OLD = "DELETE FROM spans WHERE rowid <= (SELECT max(rowid) FROM spans) - ?"
"""It reads nothing but what it deletes, so that storing a span costs the same however many there are."""
PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL; -- a power failure may lose the last spans, but no export waits for the disk
PRAGMA cache_size = -256; -- kB; what is written is seldom read
"""


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """One span.

    Args:
        trace_id: In hexadecimal, as in `traceparent`.
        span_id: In hexadecimal.
        parent_id: The id of the parent span, which may belong to another service.
        name: The name, such as `call help`.
        started_ns: The start in nanoseconds since 1970, UTC.
        ended_ns: The end, likewise.
        failed: Whether the status is an error.
        attributes: The attributes, by the names in `names.py`.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    started_ns: int
    ended_ns: int
    failed: bool
    attributes: Mapping[str, Any]


class SpanStore(SpanExporter):
    """Exports spans to an SQLite file. Several threads may export, and other processes may read the file.

    Args:
        path: The file. It is created with its folder if necessary.
        keep: The number of spans to keep; what is older is deleted, so the oldest trace may be incomplete.
    """

    def __init__(self, path: Path, keep: int = 5_000) -> None:
        private_file(path)
        self._keep = keep
        self._lock = threading.Lock()
        # The exporter's thread writes and the main thread closes, so the lock replaces the check of the thread.
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.executescript(PRAGMAS + CREATE)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Store spans and delete the oldest ones."""
        with self._lock, self._database as transaction:
            transaction.executemany("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, spans))
            transaction.execute(DELETE_OLD, (self._keep,))
        return SpanExportResult.SUCCESS

    def find(self, identifier: str) -> list[StoredSpan]:
        """Return the spans of the trace or the call with this id, in order of time; empty if there are none."""
        return self._trace_where("trace_id = :id OR call_id = :id", id=identifier)

    def newest(self) -> list[StoredSpan]:
        """Return the spans of the newest call, or of the newest trace if there was no call; empty if there are none."""
        return self._trace_where("call_id IS NOT NULL") or self._trace_where("TRUE")

    def forget(self, is_personal: Callable[[StoredSpan], bool]) -> tuple[set[str], set[str]]:
        """Delete each trace with a span for which `is_personal` is true, and write the file anew.

        Returns:
            The ids of the traces that were deleted, and of those that are left.
        """
        with self._lock:
            spans = [_span(row) for row in self._database.execute("SELECT * FROM spans")]
            traces = {span.trace_id for span in spans if is_personal(span)}
            with self._database as transaction:
                transaction.executemany("DELETE FROM spans WHERE trace_id = ?", [(trace,) for trace in traces])
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return traces, {span.trace_id for span in spans} - traces

    def shutdown(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _trace_where(self, condition: str, **values: str) -> list[StoredSpan]:
        newest = f"SELECT trace_id FROM spans WHERE {condition} ORDER BY rowid DESC LIMIT 1"  # noqa: S608 - a constant
        query = f"SELECT * FROM spans WHERE trace_id = ({newest}) ORDER BY started_ns, rowid"  # noqa: S608
        with self._lock:
            rows = self._database.execute(query, values).fetchall()
        return [_span(row) for row in rows]


def _span(row: Sequence[Any]) -> StoredSpan:
    return StoredSpan(*row[:6], failed=bool(row[6]), attributes=json.loads(row[7]))


def _row(span: ReadableSpan) -> tuple[str | int | None, ...]:
    context, attributes = span.get_span_context() or trace.INVALID_SPAN_CONTEXT, dict(span.attributes or {})
    call_id = attributes.get(names.CALL_ID)
    return (
        trace.format_trace_id(context.trace_id),
        trace.format_span_id(context.span_id),
        trace.format_span_id(span.parent.span_id) if span.parent else None,
        span.name,
        span.start_time or 0,
        span.end_time or 0,
        int(span.status.status_code is trace.StatusCode.ERROR),
        json.dumps(attributes),
        str(call_id) if call_id else None,
    )
