"""`chassis ask`: one question to the whole service, without HTTP."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chassis.cli.terminal import AsJson
from chassis.config.project import find_project, load_settings
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
    configure_logs(production=settings.production)
    # OpenTelemetry reads variables while it is imported, and only now they are checked.
    from chassis.web.schemas import body_of
    from chassis.wiring import wire

    async with wire(project, settings=settings) as wiring:
        question = read_typed(wiring.task.takes, text, "the question")
        call = wiring.service.new_call(CLI_CALLER)
        with wiring.telemetry.instruments.span("chassis ask", {}):
            return body_of(await wiring.service.answer(question, call), call, wiring)


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
