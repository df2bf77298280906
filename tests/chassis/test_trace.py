"""Local traces and `chassis trace`, which draws them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from threading import Thread

import pytest
import typer
from chassis.cli.trace import draw, trace
from chassis.telemetry import names
from chassis.telemetry.local_traces import TRACES_FILE, SpanStore, StoredSpan
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Tracer, get_current_span, set_span_in_context
from rich.console import Console
from structlog.testing import capture_logs
from telemetry_sinks import started
from typer.testing import CliRunner

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def recording(store: SpanStore) -> Tracer:
    """Return a tracer whose spans are in `store` as soon as they end."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(store))
    return provider.get_tracer("test")


def test_only_the_newest_spans_are_kept(tmp_path: Path) -> None:
    """Older ones are deleted, so that the file does not grow without limit."""
    store = SpanStore(tmp_path / TRACES_FILE, keep=2)
    tracer = recording(store)
    for number in range(4):
        tracer.start_span(f"call {number}", attributes={names.CALL_ID: f"c_{number}"}).end()
    assert [span.name for span in store.newest()] == ["call 3"]
    assert [len(store.find(f"c_{number}")) for number in range(4)] == [0, 0, 1, 1]
    store.shutdown()


def test_the_spans_of_one_trace_are_bounded(tmp_path: Path) -> None:
    """A caller who sends the same `traceparent` with every request adds to a single trace."""
    store = SpanStore(tmp_path / TRACES_FILE, keep=10)
    tracer = recording(store)
    trace = tracer.start_span("call 0", attributes={names.CALL_ID: "c_0"})
    for number in range(1, 40):
        tracer.start_span(f"call {number}", set_span_in_context(trace), attributes={names.CALL_ID: f"c_{number}"}).end()
    assert [span.name for span in store.newest()] == [f"call {number}" for number in range(30, 40)]
    store.shutdown()


def corrupt(file: Path) -> None:
    """Overwrite every page but the first one. The store reads them again, because another process wrote."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA user_version = 1")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [page_size] = other.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as pages:
        pages.seek(page_size)
        pages.write(b"\xee" * (file.stat().st_size - page_size))


def drop(file: Path) -> None:
    """Lose the table."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE spans")


def change(file: Path) -> None:
    """Have a table with other columns, as another release may."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("ALTER TABLE spans ADD COLUMN color TEXT")


@pytest.mark.parametrize("harm", [corrupt, drop, change])
def test_spans_that_cannot_be_stored_are_logged_once(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """One line says why, and the call goes on."""
    store = SpanStore(tmp_path / TRACES_FILE)
    tracer = recording(store)
    tracer.start_span("call 0").end()
    harm(tmp_path / TRACES_FILE)

    with capture_logs() as logs:
        for number in range(5):
            tracer.start_span(f"call {number}").end()

    assert [(line["event"], line["file"]) for line in logs] == [("spans.not_stored", str(tmp_path / TRACES_FILE))]
    assert caplog.records == []  # the SDK logs what an exporter raises, with a traceback


def test_spans_that_cannot_be_stored_are_logged_again_later(tmp_path: Path) -> None:
    """After spans were stored again, the next failure is a new one."""
    store = SpanStore(tmp_path / TRACES_FILE)
    tracer = recording(store)

    with capture_logs() as logs, closing(sqlite3.connect(tmp_path / TRACES_FILE)) as other:
        for former, name in (("spans", "elsewhere"), ("elsewhere", "spans")) * 2:
            other.execute(f"ALTER TABLE {former} RENAME TO {name}")
            tracer.start_span("call").end()

    assert [line["reason"] for line in logs] == ["no such table: spans"] * 2


def test_several_threads_may_export(tmp_path: Path) -> None:
    """Spans that end in several threads at the same time are all stored."""
    store = SpanStore(tmp_path / TRACES_FILE)
    tracer = recording(store)

    def work() -> None:
        for _ in range(20):
            tracer.start_span("step", parent).end()

    parent = set_span_in_context(tracer.start_span("call help", attributes={names.CALL_ID: "c_1"}))
    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    get_current_span(parent).end()
    assert len(store.find("c_1")) == 81
    store.shutdown()


def make_span(name: str, parent: str | None, milliseconds: float, **facts: object) -> StoredSpan:
    """Return a span. Its attributes are given by the names of the constants in `names.py`."""
    started_ns = 1_795_446_245_000_000_000
    attributes = {getattr(names, fact): value for fact, value in facts.items()}
    return StoredSpan(
        TRACE_ID,
        name,
        parent,
        name,
        started_ns,
        started_ns + round(milliseconds * 1e6),
        failed="ERROR_TYPE" in facts,
        attributes=attributes,
    )


def drawn(*spans: StoredSpan) -> list[str]:
    """Return the lines of the drawing on a wide terminal."""
    console = Console(file=StringIO(), width=120, color_system=None)
    with console.capture() as capture:
        console.print(draw(spans))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_trace_is_drawn_as_a_tree() -> None:
    """Each span shows its duration, and what people want to know first: outcome, reason, cost, tokens or error."""
    assert [
        f"trace {TRACE_ID}  2026-11-23 15:04:05 UTC",
        "POST /v1/help         1.24 s  HTTP 200",
        "└── call help         1.23 s  answered by local · degraded · models_failed · confidence 0.83 · $0.000125",
        "    ├── chat gpt    800.0 ms  TimedOut",
        "    └── chat local   12.5 ms  312 tokens in, 45 out · $0.00",
    ] == drawn(
        make_span("POST /v1/help", "00f067aa0ba902b7", 1240, HTTP_RESPONSE_STATUS_CODE=200),
        make_span(
            "call help",
            "POST /v1/help",
            1230,
            OUTCOME="answered",
            ANSWERED_BY="local",
            DEGRADED=True,
            FALLBACK_REASON="models_failed",
            CONFIDENCE=0.83,
            COST_USD=0.000125,
        ),
        make_span("chat gpt", "call help", 800, ERROR_TYPE="TimedOut"),
        make_span("chat local", "call help", 12.5, USAGE_INPUT_TOKENS=312, USAGE_OUTPUT_TOKENS=45, COST_USD=0.0),
    )


def test_a_cached_answer_is_marked() -> None:
    """The drawing shows why the call was fast and cost nothing."""
    [_, line] = drawn(make_span("call help", None, 2, OUTCOME="answered", ANSWERED_BY="gpt", CACHED=1, COST_USD=0.0))

    assert line == "call help  2.0 ms  answered by gpt · from the cache · $0.00"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to the folder of a minimal project."""
    (tmp_path / "pyproject.toml").write_text('[tool.chassis]\ntask = "acme_help.task:TASK"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_trace(*arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of `chassis trace`."""
    app = typer.Typer()
    app.command()(trace)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_the_command_draws_the_newest_call(project: Path) -> None:
    """Without an id, `chassis trace` draws the newest call, even if other requests came after it."""
    telemetry = started(project / "var")
    with telemetry.instruments.span("call help", {names.CALL_ID: "c_1"}):
        pass
    with telemetry.instruments.span("GET /docs"):
        pass
    telemetry.shutdown()
    code, drawing, _ = run_trace()
    assert (code, "call help" in drawing, "GET /docs" in drawing) == (0, True, False)
    assert (0, drawing, "") == run_trace("c_1")


def test_the_command_explains_why_there_is_no_trace(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no trace yet, there is no such trace, or traces are sent to a collector."""
    assert run_trace() == (1, "", "There is no trace yet; ask a question first: uv run chassis ask '…'\n")
    SpanStore(project / "var" / TRACES_FILE).shutdown()
    assert run_trace("c_9") == (1, "", "There is no trace of 'c_9' here; only the newest are kept.\n")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert run_trace("c_9") == (
        1,
        "",
        "Traces are sent to http://collector:4318 and not stored here; look for the trace id there.\n",
    )
