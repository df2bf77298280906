"""Runs the HTTP application: announce, serve, and on the way out let every call that has begun come to its end."""

import asyncio
import errno
import ipaddress
import math
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import override
from urllib.parse import urlsplit

import structlog
import uvicorn
from fastapi import FastAPI

from chassis.errors import ConfigError
from chassis.store.api_keys import DEVELOPMENT_CALLER
from chassis.web.app import build_app
from chassis.wiring import Wiring

NOTICE_SECONDS = 2.0
"""From the first 503 of /readyz to the last connection that is accepted: time for a load balancer to look."""
log = structlog.get_logger()


async def serve(wiring: Wiring, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl+C, then drain.

    Args:
        wiring: What is served.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        say: Tells a developer the address and, once, their key.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    with _listener(host, port) as listener:
        address = _address(listener)
        await _announce(wiring, address, say)
        app = build_app(wiring)
        config = uvicorn.Config(
            app,
            log_config=None,  # the chassis has set up one stream of logs for everything
            log_level="warning",
            access_log=False,  # `call.finished` says more
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=math.ceil(wiring.constraints.latency.deadline_seconds) + 1,
        )
        await DrainingServer(config, app).serve(sockets=[listener])
    log.info("service.stopped", address=address)


class DrainingServer(uvicorn.Server):
    """A server that tells before it goes: /readyz says 503 while calls are still accepted and finished."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._notice = NOTICE_SECONDS

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to go. Uvicorn's own would raise the signal again at the end, before anything is closed or flushed."""
        if sig == signal.SIGINT:
            self._notice = 0  # a person at a terminal; pressed twice, it waits for nobody
            self.force_exit = self.should_exit
        self.should_exit = True

    @override
    async def main_loop(self) -> None:
        """Serve until told to go, and a little longer."""
        await super().main_loop()
        self._app.state.draining = True
        log.info("service.draining")
        await asyncio.sleep(self._notice)


def _listener(host: str, port: int) -> socket.socket:
    where = f"--host {host} --port {port}"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(where, "another program listens there", "Stop it, or name another port") from None
        raise ConfigError(
            where, f"cannot be listened on ({error.strerror})", "Name an address of this machine"
        ) from None


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _announce(wiring: Wiring, address: str, say: Callable[[str], None]) -> None:
    has_key = any(key.revoked_at is None for key in await wiring.api_keys.list_keys())
    log.info("service.started", address=address, task=wiring.task.name, version=wiring.project.version)
    developing = wiring.settings.chassis_env == "development"
    if developing:
        say(f"{wiring.project.name} listens on {address} and is described at {address}/docs")
    if has_key:
        return
    if not (developing and _only_here(wiring, address)):
        log.warning("api_key.missing", remedy="create one with `uv run chassis keys create CALLER`")
    else:
        key = await wiring.api_keys.create(DEVELOPMENT_CALLER)
        say(f"Your development key, shown only this once:  {key}")


def _only_here(wiring: Wiring, address: str) -> bool:
    """Tell whether nobody else could use a key that is made here: others reach neither the service nor its database."""
    return ipaddress.ip_address(urlsplit(address).hostname or "").is_loopback and wiring.database.dialect == "sqlite"
