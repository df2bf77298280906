"""`chassis ask`: one question to the whole service, without HTTP."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from dotenv import dotenv_values

from chassis.cli.terminal import AsJson
from chassis.config.project import LOCAL_MODEL_FILE, find_project, load_settings
from chassis.config.typed_values import read_typed, show_typed
from chassis.telemetry.logs import configure_logs
from chassis.usd import format_usd, nano_usd

if TYPE_CHECKING:
    from chassis.web.schemas import AnsweredBody, ReferredBody

type ResponseBody = AnsweredBody[Any] | ReferredBody

CLI_CALLER = "cli"


def ask(
    question: Annotated[str, typer.Argument(help="Plain text or JSON; - reads it from standard input.")],
    as_json: AsJson = False,
) -> None:
    """Ask a question, and show the answer, who gave it, its confidence and its cost.

    With --json, print what a caller would get over HTTP.
    """
    body = asyncio.run(_ask(sys.stdin.read() if question == "-" else question))
    if as_json:
        typer.echo(body.model_dump_json(indent=2, by_alias=True))
        return
    typer.echo(show_typed(body.answer) if body.outcome == "answered" else _ticket(body))
    typer.secho("\n" + " · ".join(_facts(body)), dim=True)


async def _ask(text: str) -> ResponseBody:
    project = find_project()
    settings = load_settings(project.root)
    _warn_of_stopped_local_model(project.root / LOCAL_MODEL_FILE)
    configure_logs(production=settings.production)
    # OpenTelemetry reads variables while it is imported, and only now they are checked.
    from chassis.web.schemas import body_of
    from chassis.wiring import wire

    async with wire(project, settings=settings) as wiring:
        question = read_typed(wiring.task.takes, text, "the question")
        call = wiring.service.new_call(CLI_CALLER)
        with wiring.telemetry.instruments.span("chassis ask", {}):
            return body_of(await wiring.service.answer(question, call), call, wiring)


def _warn_of_stopped_local_model(file: Path) -> None:
    """Say that nothing listens where a local model was started: it was killed, and could not remove its file."""
    url = (dotenv_values(file) if file.is_file() else {}).get("CHASSIS_LOCAL_MODEL_URL")
    if not url or os.environ.get("CHASSIS_LOCAL_MODEL_URL") != url:
        return
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=1).close()
    except OSError:
        remedy = f"start `make local-model` or delete {LOCAL_MODEL_FILE}"
        typer.echo(f"No local model runs at {url}; {remedy}", err=True)


def _ticket(body: "ReferredBody") -> str:
    return (
        f"A person will answer by {body.due_at:%Y-%m-%d %H:%M} UTC ({body.fallback_reason}).\n"
        f"The ticket is {body.referral_id}: `uv run chassis review show {body.referral_id}`.\n"
        f"Over HTTP the answer will be at {body.location}. Contact: {body.contact}"
    )


def _facts(body: ResponseBody) -> list[str]:
    trace = f"trace {body.trace_id}"
    if body.outcome == "referred":
        return [trace]
    reason = f" ({body.fallback_reason})" if body.fallback_reason else ""
    degraded = [f"degraded{reason}"] if body.degraded else []
    confidence = f"confidence {body.confidence:.2f}" + ("" if body.confidence_calibrated else ", not calibrated")
    cost = format_usd(nano_usd(body.cost_usd))
    return [f"answered by {body.answered_by}", *degraded, confidence, cost, trace]
