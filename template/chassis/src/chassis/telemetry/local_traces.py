"""Stores the newest traces on this machine, for a service without an OpenTelemetry backend.

In development it also keeps what models were sent and what they replied, for `chassis trace --content`. The texts are
those that leave the process, so sensitive values are placeholders already. In production there is no such log:
`start_telemetry` does not create it, and nothing else can.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from chassis.config.project import private_file
from chassis.privacy.finder import hide_secrets
from chassis.telemetry import names

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

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
        self._path, self._is_failing = path, False
        self._lock = threading.Lock()
        # The exporter's thread writes and the main thread closes, so the lock replaces the check of the thread.
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.executescript(PRAGMAS + CREATE)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Store spans and delete the oldest ones. A failure is logged once, until spans are stored again."""
        try:
            with self._lock, self._database as transaction:
                transaction.executemany("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, spans))
                transaction.execute(DELETE_OLD, (self._keep,))
        except sqlite3.Error as error:
            if not self._is_failing:
                log.warning("spans.not_stored", file=str(self._path), reason=str(error))
            self._is_failing = True
            return SpanExportResult.FAILURE
        self._is_failing = False
        return SpanExportResult.SUCCESS

    def find(self, identifier: str) -> list[StoredSpan]:
        """Return the spans of the trace or the call with this id, in order of time; empty if there are none."""
        return self._trace_where("trace_id = :id OR call_id = :id", id=identifier)

    def newest(self) -> list[StoredSpan]:
        """Return the spans of the newest call, or of the newest trace if there was no call; empty if there are none."""
        return self._trace_where("call_id IS NOT NULL") or self._trace_where("TRUE")

    def forget(self, is_personal: Callable[[StoredSpan], bool], *, dry_run: bool) -> tuple[set[str], set[str]]:
        """Delete each trace with a span for which `is_personal` is true, and write the file anew, except in a dry run.

        Returns:
            The ids of these traces, and of those that are left.
        """
        with self._lock:
            spans = [_span(row) for row in self._database.execute("SELECT * FROM spans")]
            traces = {span.trace_id for span in spans if is_personal(span)}
            left = {span.trace_id for span in spans} - traces
            if dry_run:
                return traces, left
            with self._database as transaction:
                transaction.executemany("DELETE FROM spans WHERE trace_id = ?", [(trace,) for trace in traces])
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return traces, left

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


CONTENT_FILE = "content.jsonl"
MAX_BYTES = 8 * 1024 * 1024
"""When the file is larger, it becomes the former file, and what was the former file is deleted."""
MAX_TEXT = 20_000
"""The most characters of one part of a message; the rest is cut off."""

type Exchange = Mapping[str, Any]
"""One request and its reply: `time`, `trace_id`, `span_id`, `model`, `sent`, `reply` and `error`.

`sent` and `reply` are lists of `{"part": kind, "text": text}`.
"""

log = structlog.get_logger()


class ContentLog:
    """Appends each exchange with a model to a file that only this user can read.

    Args:
        path: The file. It is created with its folder when it is needed.
        max_bytes: The size at which a new file is begun.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._lock = threading.Lock()

    def record(
        self, model: str, sent: "Sequence[ModelMessage]", reply: "ModelResponse | None", error: BaseException | None
    ) -> str:
        """Append one exchange and return the reply as one text. Whatever goes wrong is logged, and the call goes on."""
        try:
            exchange = self._exchange(model, sent, reply, error)
            with self._lock:
                self._append(json.dumps(exchange, ensure_ascii=False).encode(errors="replace"))
        except Exception as problem:  # noqa: BLE001 - a reply may contain anything, and must not break a call here
            log.warning("content.not_stored", file=str(self._path), reason=type(problem).__name__)
            return ""
        return " ".join(part["text"] for part in exchange["reply"])[:MAX_TEXT]

    def _exchange(
        self, model: str, sent: "Sequence[ModelMessage]", reply: "ModelResponse | None", error: BaseException | None
    ) -> Exchange:
        span = trace.get_current_span().get_span_context()
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "trace_id": trace.format_trace_id(span.trace_id),
            "span_id": trace.format_span_id(span.span_id),
            "model": model,
            "sent": [part for message in sent for part in _parts(message)],
            "reply": list(_parts(reply)) if reply else [],
            "error": None if error is None else hide_secrets(f"{type(error).__name__}: {error}"[:MAX_TEXT]),
        }

    def _append(self, line: bytes) -> None:
        if self._path.exists() and self._path.stat().st_size > self._max_bytes:
            self._path.replace(former_file(self._path))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        with self._path.open("ab") as file:
            file.write(line + b"\n")


def former_file(path: Path) -> Path:
    """Return the file that holds the exchanges before those in `path`."""
    return path.with_name(f"{path.name}.1")


def load_exchanges(path: Path, trace_id: str) -> list[Exchange]:
    """Return the exchanges of one trace, oldest first; a line that cannot be read is left out."""
    files = [file for file in (former_file(path), path) if file.is_file()]
    lines = (line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    return [exchange for line in lines if (exchange := _loads(line)).get("trace_id") == trace_id]


def _loads(line: str) -> Exchange:
    try:
        exchange = json.loads(line)
    except ValueError:
        return {}
    return cast("Exchange", exchange) if isinstance(exchange, dict) else {}


def _parts(message: "ModelMessage") -> Iterator[dict[str, str]]:
    """Yield the kind and the text of each part of a message; of a tool call, its name and arguments."""
    if instructions := getattr(message, "instructions", None):
        yield {"part": "instructions", "text": hide_secrets(instructions[:MAX_TEXT])}
    for part in message.parts:
        content = getattr(part, "args", None) if part.part_kind.endswith("tool-call") else getattr(part, "content", "")
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)
        name = getattr(part, "tool_name", None)
        yield {"part": part.part_kind, "text": hide_secrets(f"{name}: {text}" if name else text)[:MAX_TEXT]}
