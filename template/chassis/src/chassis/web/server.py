"""Runs the HTTP server and bounds what its connections cost.

On SIGTERM it finishes the running calls before the process ends.
"""

import asyncio
import errno
import gc
import ipaddress
import math
import resource
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any, override
from urllib.parse import urlsplit

import h11
import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server
from uvicorn.protocols.http.h11_impl import H11Protocol

from chassis.clock import repeated
from chassis.config.confidence import CALIBRATE
from chassis.errors import ConfigError
from chassis.notifier import POLL_SECONDS
from chassis.quality.drift import CHECK_SECONDS
from chassis.quality.success import EXPORT_SECONDS, export_success
from chassis.store.call_history import FLUSH_SECONDS
from chassis.store.credentials import DEVELOPMENT_CALLER
from chassis.web.app import build_app
from chassis.wiring import Wiring

HEADER_SECONDS = 10.0
"""The time in which the headers of a request must arrive."""
MAX_CONNECTIONS = 1000
"""The maximum for one process, or half of the files that it may open if that is less: models need connections too."""
SILENT_SECONDS = 60.0
"""The pause between two log lines about the same shortage, which strangers could cause thousands of times."""
OUT_OF_FILES = "socket.accept() out of system resource"
"""asyncio's message when a connection cannot be accepted."""
log = structlog.get_logger()


def max_connections() -> int:
    """Return how many connections may be open."""
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft_limit == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft_limit // 2)


class BoundedProtocol(H11Protocol):
    """HTTP with a deadline for headers, and with a bound on connections: the oldest one without a request is closed."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._headers_due: asyncio.TimerHandle | None = None
        self.waiting_since = self.loop.time()
        super().connection_made(transport)
        self._expect_headers()
        self._make_room()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.waiting:
            self._expect_headers()
        else:
            self._cancel_deadline()

    @override
    def on_response_complete(self) -> None:
        self.waiting_since = self.loop.time()
        self.cycle.body.clear()  # of a request that was refused before its body was read
        super().on_response_complete()
        if self.waiting and self.conn.their_state is h11.SEND_BODY:
            self._expect_headers()  # the rest of that body is discarded, but not for ever

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        # uvicorn leaves its timer running after a reset, which would keep the whole connection in memory until then.
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    @property
    def waiting(self) -> bool:
        """Return whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _expect_headers(self) -> None:
        if self._headers_due is None:
            # `abort`, because `close` would wait for a peer that reads nothing (Slowloris).
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _make_room(self) -> None:
        """Close a connection if there are too many: first those that never sent a request, which need no key."""
        connections = [each for each in self.connections if isinstance(each, BoundedProtocol)]
        # Those that were aborted a moment ago still count as open until the loop has run.
        connections = [each for each in connections if not each.transport.is_closing()]
        if len(connections) > max_connections():
            FULL.warning("connections.full", limit=max_connections())
            idle = (each for each in connections if each.waiting)
            min(idle, key=lambda each: (each.cycle is not None, each.waiting_since)).transport.abort()  # pyright: ignore[reportUnnecessaryComparison]


class RareLog:
    """Logs at most one line a minute."""

    def __init__(self) -> None:
        self._silent_until = 0.0

    def warning(self, event: str, **fields: object) -> None:
        """Log a warning, unless there was one within the last minute."""
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + SILENT_SECONDS
            log.warning(event, **fields)


FULL, REFUSED = RareLog(), RareLog()


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of the event loop. Without free files, asyncio reports hundreds of them a second."""
    if context.get("message") == OUT_OF_FILES:
        REFUSED.warning("connections.refused", error=str(context.get("exception")))
    else:
        loop.default_exception_handler(context)


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
        # After the port is open, so that the address and the key are never announced for a service that cannot start.
        await _announce(wiring, address, say)
        app = build_app(wiring)
        asyncio.get_running_loop().set_exception_handler(on_loop_error)
        spare_garbage_collector()
        wiring.notifier.log_unavailable()
        success, instruments = wiring.constraints.success, wiring.telemetry.instruments
        async with (
            _metrics_server(wiring, host),
            repeated("notifications", POLL_SECONDS, wiring.notifier.send_due),
            repeated("call_history", FLUSH_SECONDS, wiring.call_history.flush),
            repeated("retention", SWEEP_SECONDS, wiring.retention.sweep),
            repeated("quality drift", CHECK_SECONDS, partial(wiring.drift_watch.check, instruments)),
            repeated("success", EXPORT_SECONDS, partial(export_success, wiring.database, success, instruments)),
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
    # What is frozen is never examined again: modules and types live until the process ends. To collect first would take
    # a tenth of the start, and find one object in two hundred.
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
