"""`chassis serve`: the service over HTTP."""

import asyncio
import gc
from contextlib import suppress
from typing import Annotated

import typer


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for any free one.", min=0, max=65535)] = 8000,
) -> None:
    """Serve the task over HTTP until stopped."""
    # Nearly all that a start creates stays, so looking for garbage would only make it slower; `run_server` turns it on.
    gc.disable()
    asyncio.run(_serve(host, port))


async def _serve(host: str, port: int) -> None:
    from chassis.config.project import find_project, load_settings
    from chassis.telemetry.logs import configure_logs

    project = find_project()
    settings = load_settings(project.root)
    configure_logs(production=settings.production)
    # OpenTelemetry reads variables while it is imported, and only now they are checked.
    from chassis.web.server import run_server
    from chassis.wiring import wire

    async with wire(project, settings=settings) as wiring:
        await run_server(wiring, host, port, say=_say)


def _say(sentence: str) -> None:
    with suppress(OSError):  # the service does not need standard output
        typer.echo(sentence)
