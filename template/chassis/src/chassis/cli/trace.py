"""`chassis trace`: draws the trace of a call as a tree."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.config.project import Project, find_project, load_settings
from chassis.errors import ConfigError
from chassis.telemetry import names
from chassis.usd import format_usd, nano_usd

if TYPE_CHECKING:
    from chassis.telemetry.local_traces import Exchange, StoredSpan

type Spans = Sequence[StoredSpan]
"""All spans of one trace in order of time, at least one."""
type Branches = Iterator[tuple[str, StoredSpan]]
"""Spans, each with the branch to draw before it."""

ASCII_LINES = str.maketrans("└├│─", "`||-")
NO_TRACES = "There is no trace yet; ask a question first: uv run chassis ask '…'"


def trace(
    identifier: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A call id or a trace id; the newest call by default.")
    ] = None,
    content: Annotated[
        bool, typer.Option("--content", help="Also show what models were sent and replied (only in development)")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw the trace of a call: every step, its duration and its cost."""
    from chassis.telemetry.local_traces import TRACES_FILE, SpanStore
    from chassis.telemetry.setup import otlp_endpoint

    project = find_project()
    load_settings(project.root)  # .env may set the endpoint
    if endpoint := otlp_endpoint("traces"):
        _fail(f"Traces are sent to {endpoint} and not stored here; look for the trace id there.")
    path = project.root / "var" / TRACES_FILE
    if not path.exists():
        _fail(NO_TRACES)
    try:
        store = SpanStore(path)
        spans = store.find(identifier) if identifier else store.newest()
        store.shutdown()
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"var/{TRACES_FILE}", f"it cannot be read ({error})", "Delete it; new calls start it"
        ) from None
    if not spans:
        _fail(f"There is no trace of {identifier!r} here; only the newest are kept." if identifier else NO_TRACES)
    exchanges = _exchanges(project, spans[0].trace_id) if content else []
    if as_json:
        print_json({"spans": spans, "exchanges": exchanges})
        return
    console = plain_console()
    console.print(draw(spans, ascii_only=console.options.ascii_only))
    for exchange in exchanges:
        console.print(draw_exchange(exchange))


def _exchanges(project: Project, trace_id: str) -> "list[Exchange]":
    from chassis.telemetry.local_traces import CONTENT_FILE, load_exchanges

    exchanges = load_exchanges(project.root / "var" / CONTENT_FILE, trace_id)
    if not exchanges:
        _fail("No model was asked in this trace, or its content was not kept: that is done in development only.")
    return list(exchanges)


def _fail(sentence: str) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(code=1)


def draw(spans: Spans, *, ascii_only: bool = False) -> RenderableType:
    """Return one trace as a table with three columns: the tree of its spans, their durations, their main attributes.

    Args:
        spans: The spans.
        ascii_only: Whether the output cannot show the lines of a tree.
    """
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="cyan")
    table.add_column()
    lines, separator = (ASCII_LINES, " - ") if ascii_only else ({}, " · ")
    for branch, span in _tree(spans):
        name = Text.assemble((branch.translate(lines), "dim"), (span.name, "bold red" if span.failed else "bold"))
        table.add_row(name, _duration(span), Text(separator.join(_facts(span)), style="red" if span.failed else ""))
    started = datetime.fromtimestamp(spans[0].started_ns / 1e9, UTC)
    return Group(Text(f"trace {spans[0].trace_id}  {started:%Y-%m-%d %H:%M:%S} UTC", style="dim"), table)


def draw_exchange(exchange: "Exchange") -> RenderableType:
    """Return what one model was sent and what it replied, part by part, as it left the process: after redaction."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="cyan")
    table.add_column()
    for sent in exchange["sent"]:
        table.add_row(sent["part"], Text(sent["text"]))
    for reply in exchange["reply"]:
        table.add_row(f"reply: {reply['part']}", Text(reply["text"], style="bold"))
    if exchange["error"]:
        table.add_row("error", Text(exchange["error"], style="red"))
    return Group(Text(f"\n{exchange['model']}  {exchange['time']}", style="dim"), table)


def _tree(spans: Spans) -> Branches:
    """Yield each span after its parent, with the branch to draw before it.

    A span whose parent is not in the trace is a root; its parent may belong to another service.
    """
    span_ids = {span.span_id for span in spans}
    children: dict[str | None, list[StoredSpan]] = {}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in span_ids else None, []).append(span)

    def below(parent: str, trunk: str) -> Branches:
        siblings = children.get(parent, [])
        for span in siblings:
            last = span is siblings[-1]
            yield trunk + ("└── " if last else "├── "), span
            yield from below(span.span_id, trunk + ("    " if last else "│   "))

    for root in children.get(None, []):
        yield "", root
        yield from below(root.span_id, "")


def _duration(span: "StoredSpan") -> str:
    seconds = (span.ended_ns - span.started_ns) / 1e9
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def _facts(span: "StoredSpan") -> Iterator[str]:
    """Yield what people want to know first: the outcome, the reason, the cost. What is not set is left out."""
    attributes = span.attributes
    if outcome := attributes.get(names.OUTCOME):
        by = attributes.get(names.ANSWERED_BY)
        yield f"{outcome} by {by}" if by else outcome
    if attributes.get(names.CACHED):
        yield "from the cache"
    if attributes.get(names.DEGRADED):
        yield "degraded"
    if fallback_reason := attributes.get(names.FALLBACK_REASON):
        yield fallback_reason
    if (confidence := attributes.get(names.CONFIDENCE)) is not None:
        yield f"confidence {confidence:.2f}"
    if (status := attributes.get(names.HTTP_RESPONSE_STATUS_CODE)) is not None:
        yield f"HTTP {status}"
    if (tokens := attributes.get(names.USAGE_INPUT_TOKENS)) is not None:
        yield f"{tokens} tokens in, {attributes.get(names.USAGE_OUTPUT_TOKENS, 0)} out"
    if (cost := attributes.get(names.COST_USD)) is not None:
        yield format_usd(nano_usd(cost))
    if error := attributes.get(names.ERROR_TYPE):
        yield error
