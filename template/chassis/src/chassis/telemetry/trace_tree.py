"""Draws a trace as a tree for a terminal."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chassis.telemetry import names
from chassis.telemetry.spans import StoredSpan
from chassis.usd import format_usd, nano_usd


def draw(spans: Sequence[StoredSpan]) -> RenderableType:
    """Return one trace as a table: the tree of its spans, how long each took, and what a person wants to know of it.

    Args:
        spans: All spans of one trace in order of time, at least one.
    """
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="cyan")
    table.add_column()
    for branch, span in _tree(spans):
        name = Text.assemble((branch, "dim"), (span.name, "bold red" if span.failed else "bold"))
        table.add_row(name, _duration(span), Text(" · ".join(_facts(span)), style="red" if span.failed else ""))
    started = datetime.fromtimestamp(spans[0].started_ns / 1e9, UTC)
    return Group(Text(f"trace {spans[0].trace_id}  {started:%Y-%m-%d %H:%M:%S} UTC", style="dim"), table)


def _tree(spans: Sequence[StoredSpan]) -> Iterator[tuple[str, StoredSpan]]:
    """Yield each span after its parent with the branch in front of it; a span whose parent is elsewhere is a root."""
    here = {span.span_id for span in spans}
    children: dict[str | None, list[StoredSpan]] = {}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in here else None, []).append(span)

    def below(parent: str, trunk: str) -> Iterator[tuple[str, StoredSpan]]:
        siblings = children.get(parent, [])
        for span in siblings:
            last = span is siblings[-1]
            yield trunk + ("└── " if last else "├── "), span
            yield from below(span.span_id, trunk + ("    " if last else "│   "))

    for root in children.get(None, []):
        yield "", root
        yield from below(root.span_id, "")


def _duration(span: StoredSpan) -> str:
    seconds = (span.ended_ns - span.started_ns) / 1e9
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def _facts(span: StoredSpan) -> Iterator[str]:
    """Yield what a person asks of a span first; what it does not have is left out."""
    facts = span.attributes
    if outcome := facts.get(names.OUTCOME):
        by = facts.get(names.ANSWERED_BY)
        yield f"{outcome} by {by}" if by else outcome
    if facts.get(names.CACHED):
        yield "from the cache"
    if facts.get(names.DEGRADED):
        yield "degraded"
    if fallback_reason := facts.get(names.FALLBACK_REASON):
        yield fallback_reason
    if (confidence := facts.get(names.CONFIDENCE)) is not None:
        yield f"confidence {confidence:.2f}"
    if (status := facts.get(names.HTTP_RESPONSE_STATUS_CODE)) is not None:
        yield f"HTTP {status}"
    if (tokens := facts.get(names.USAGE_INPUT_TOKENS)) is not None:
        yield f"{tokens} tokens in, {facts.get(names.USAGE_OUTPUT_TOKENS, 0)} out"
    if (cost := facts.get(names.COST_USD)) is not None:
        yield format_usd(nano_usd(cost))
    if error := facts.get(names.ERROR_TYPE):
        yield error
