"""`chassis trace`: what happened inside a call."""

from typing import Annotated

import typer

NONE_YET = "There is no trace yet; ask something first: uv run chassis ask '…'"


def trace(
    identifier: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A call's id or a trace id; the newest call if left out.")
    ] = None,
) -> None:
    """Draw what happened inside a call: every step, how long it took and what it cost."""
    from rich.console import Console

    from chassis.config.project import find_project
    from chassis.config.settings import load_settings
    from chassis.telemetry.setup import otlp_endpoint
    from chassis.telemetry.spans import FILE, SpanStore
    from chassis.telemetry.trace_tree import draw

    project = find_project()
    load_settings(project.root)  # .env may name the endpoint
    if endpoint := otlp_endpoint("traces"):
        _end(f"Traces are sent to {endpoint} and none are kept here; look for the trace id there.")
    path = project.root / "var" / FILE
    if not path.exists():
        _end(NONE_YET)
    store = SpanStore(path)
    spans = store.find(identifier) if identifier else store.newest()
    store.shutdown()
    if not spans:
        _end(f"There is no trace of {identifier!r} here; only the newest are kept." if identifier else NONE_YET)
    Console().print(draw(spans))


def _end(sentence: str) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(code=1)
