"""Runs the HTTP server. On SIGTERM it finishes the running calls before the process ends."""

import asyncio
import errno
import gc
import ipaddress
import math
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import override
from urllib.parse import urlsplit

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server

from chassis.background import repeated
from chassis.config.confidence import CALIBRATE
from chassis.errors import ConfigError
from chassis.notifier import POLL_SECONDS
from chassis.quality.drift import CHECK_SECONDS
from chassis.store.api_keys import DEVELOPMENT_CALLER
from chassis.store.call_history import FLUSH_SECONDS
from chassis.web.app import build_app
from chassis.web.connections import BoundedProtocol, max_connections, on_loop_error
from chassis.wiring import Wiring

KEEP_ALIVE_SECONDS = 75
"""The time for which an idle connection stays open: longer than the 60 seconds after which load balancers close theirs.

A balancer that sends a request at the moment in which the service closes the connection would answer it with 502.
"""
SWEEP_SECONDS = 3600.0
"""The interval at which what has been kept for long enough is deleted."""
DRAIN_NOTICE_SECONDS = 2.0
"""The time for which connections are accepted after /readyz first answered 503. Load balancers need it to notice."""
GARBAGE_THRESHOLDS = (10_000, 20, 20)
"""New objects until the garbage collector looks at them, and how often it does so before it looks at older ones too."""
log = structlog.get_logger()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises:
        ConfigError: The process cannot listen on this address.
    """
    where = f"--host {host} --port {port}"
    try:
        # Listen before anything else starts, so that an address in use is an error at once.
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(where, "another program uses this port", "Stop it, or choose another port") from None
        problem = f"cannot listen on this address ({error.strerror})"
        raise ConfigError(where, problem, "Choose an address of this machine") from None
    # Accepted connections inherit this. Without it, the body of a response waits up to 40 ms until the client has
    # confirmed the headers, which the server writes first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def run_server(wiring: Wiring, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl+C, then drain.

    Args:
        wiring: The service.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        say: Shows a developer the address and, the first time, an API key.

    Raises:
        ConfigError: The process cannot listen on this address.
    """
    with listen(host, port) as listener:
        address = _address(listener)
        await _announce(wiring, address, say)
        app = build_app(wiring)
        asyncio.get_running_loop().set_exception_handler(on_loop_error)
        spare_garbage_collector()
        wiring.notifier.log_unavailable()
        async with (
            _metrics_server(wiring, host),
            repeated("notifications", POLL_SECONDS, wiring.notifier.send_due),
            repeated("call_history", FLUSH_SECONDS, wiring.call_history.flush),
            repeated("retention", SWEEP_SECONDS, wiring.retention.sweep),
            repeated("quality drift", CHECK_SECONDS, partial(wiring.drift_watch.check, wiring.telemetry.instruments)),
        ):
            await DrainingServer(server_config(wiring, app), app).serve(sockets=[listener])
    log.info("service.stopped", address=address)


@asynccontextmanager
async def _metrics_server(wiring: Wiring, host: str) -> AsyncGenerator[None]:
    """Serve the metrics on a port of their own, if there is one, as long as the context lasts."""
    port = wiring.settings.metrics_port
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, host, wiring.telemetry.registry)
    except OSError as error:
        problem = f"cannot listen on this port ({error.strerror})"
        raise ConfigError(f"CHASSIS_METRICS_PORT={port}", problem, "Choose another port") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def server_config(wiring: Wiring, app: FastAPI) -> uvicorn.Config:
    """Return the settings of the HTTP server."""
    return uvicorn.Config(
        app,
        log_config=None,  # the chassis has already configured logging, also for libraries
        log_level="warning",
        access_log=False,  # `call.finished` says more
        server_header=False,
        # Uvicorn would read these from the environment. Neither has a use here.
        workers=1,
        proxy_headers=False,
        forwarded_allow_ips="",
        lifespan="off",  # the caller opens and closes the wiring
        ws="none",
        http=BoundedProtocol,
        backlog=max(16, max_connections() // 4),  # asyncio accepts as many at once, before it can close any
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # Running calls end by their own deadline; one second more is for the responses.
        timeout_graceful_shutdown=math.ceil(wiring.constraints.latency.deadline_seconds) + 1,
    )


class DrainingServer(uvicorn.Server):
    """A server that announces its end: after SIGTERM, /readyz answers 503 while calls are still accepted.

    Without that, a load balancer would send calls to a closed port until its next readiness probe.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._notice = DRAIN_NOTICE_SECONDS

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to shut down.

        Uvicorn's own method raises the signal again afterwards, which would end the process before the database is
        closed and the telemetry is sent.
        """
        if sig == signal.SIGINT:
            self._notice = 0  # someone at a terminal does not want to wait for load balancers
            self.force_exit = self.should_exit  # Ctrl+C for the second time
        self.should_exit = True

    @override
    async def main_loop(self) -> None:
        """Serve until the shutdown starts and its notice is over. Uvicorn then closes the port and waits for calls."""
        await super().main_loop()
        # Calls are still accepted here: a load balancer sends them until its next probe of /readyz fails.
        self._app.state.draining = True
        log.info("service.draining")
        await asyncio.sleep(self._notice)


def spare_garbage_collector() -> None:
    """Let the garbage collector run, but leave alone what lives as long as the process, and less often for the rest.

    By default it runs several times in every call, and now and then reads all modules, types and documents again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    gc.enable()


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _announce(wiring: Wiring, address: str, say: Callable[[str], None]) -> None:
    keys = await wiring.api_keys.list_keys()
    has_key = any(key.role == "caller" and key.revoked_at is None for key in keys)
    log.info("service.started", address=address, task=wiring.task.name, version=wiring.project.version)
    answerers = *(model.name for model in wiring.constraints.models), "baseline"
    if uncalibrated := [name for name in answerers if name not in wiring.service.calibration.curves]:
        log.warning("confidence.uncalibrated", answered_by=uncalibrated, remedy=f"run `uv run {CALIBRATE} SUITE`")
    if not wiring.settings.production:
        say(f"{wiring.project.name} listens on {address}")
        say(f"Try it in a browser: {address}/docs")
    if has_key:
        return
    if wiring.settings.production or not _is_private(wiring, address):
        log.warning("api_key.missing", remedy="create one with `uv run chassis keys create CALLER`")
    else:
        key = await wiring.api_keys.create(DEVELOPMENT_CALLER)
        say(f"Your development key, shown only this once:  {key}")


def _is_private(wiring: Wiring, address: str) -> bool:
    """Return whether only this machine can reach the service and its database, so that no one else can use its key."""
    return ipaddress.ip_address(urlsplit(address).hostname or "").is_loopback and wiring.database.dialect == "sqlite"
