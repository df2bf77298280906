"""Bounds what connections cost: how many there are, how long they may take for a request, and what they log."""

import asyncio
import resource
import time
from typing import Any, override

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

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
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _make_room(self) -> None:
        """Close a connection if there are too many: first those that never sent a request, which need no key."""
        connections = [each for each in self.connections if isinstance(each, BoundedProtocol)]
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
