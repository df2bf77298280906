"""Sends and receives the bytes of requests to vendors with asyncio's own transports.

httpcore2 does it with anyio's streams, at a tenth more for a guarded call. It still opens the connections, and
`tests/test_network.py` holds the two ways against each other. A release of httpcore2 with a backend for asyncio
(https://github.com/pydantic/httpx2/pull/1170) will make this file superfluous.
"""
# ruff: noqa: ASYNC109 - the timeouts are parameters of httpcore2's interface

import asyncio
import select
import ssl
from asyncio.trsock import TransportSocket
from typing import Any, Self, cast

import httpcore2
import structlog
from httpx2 import AsyncClient

MAX_BUFFERED_BYTES = 64 * 1024
"""What may be received before it is read, and sent before the vendor takes it."""

log = structlog.get_logger()


def use_asyncio(client: AsyncClient) -> None:
    """Have a client send and receive through this file, except from proxies."""
    try:
        pool = cast("Any", client)._transport._pool  # noqa: SLF001
        pool._network_backend = AsyncioBackend(pool._network_backend)  # noqa: SLF001
    except AttributeError as error:  # these are private names, which a new version may change
        log.warning("egress.asyncio_off", reason=str(error))


class AsyncioStream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """A connection. One task at a time reads or writes."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = bytearray()
        self._has_ended = self._is_lost = False
        self._error: Exception | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and have it call `pause_writing` when the kernel does not take everything."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1)  # with 0, TLS would never call `resume_writing`

    def data_received(self, data: bytes) -> None:
        """Keep what has arrived for the next read."""
        self._received += data
        if len(self._received) > MAX_BUFFERED_BYTES:
            self._transport.pause_reading()
        _wake(self._arrival)

    def eof_received(self) -> bool:
        """Return whether the rest of a request can still be sent, which TLS does not allow."""
        self._has_ended = True
        _wake(self._arrival)
        return self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """End the read or the write that is waiting."""
        self._is_lost, self._error = True, exc or self._error
        self.eof_received()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Let the current write wait."""
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let it go on."""
        _wake(self._room)
        self._room = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has arrived, or nothing at the end."""
        if not self._received and not self._has_ended:
            self._transport.resume_reading()
            self._arrival = asyncio.get_running_loop().create_future()
            await _wait(self._arrival, timeout, httpcore2.ReadTimeout())
        if self._error and not self._received:
            raise httpcore2.ReadError(str(self._error)) from self._error
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send everything. The timeout is that of each part."""
        for start in range(0, len(buffer), MAX_BUFFERED_BYTES):
            if self._is_lost:
                raise httpcore2.WriteError(str(self._error or "the connection is closed"))
            self._transport.write(buffer[start : start + MAX_BUFFERED_BYTES])
            if self._room:
                await _wait(self._room, timeout, httpcore2.WriteTimeout())

    async def aclose(self) -> None:
        """Close the connection without waiting for the vendor."""
        self._error = self._error or ConnectionAbortedError("the client has closed the connection")
        self._transport.abort()
        await asyncio.sleep(0)  # asyncio closes the socket in its next turn

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Self:
        """Encrypt the connection from here on."""
        if self._received or self._has_ended:  # it would be read as if the vendor had sent it encrypted
            await self.aclose()
            raise httpcore2.ConnectError("the server sent something, or closed the connection, before TLS began")
        options: dict[str, Any] = {"server_hostname": server_hostname, "ssl_handshake_timeout": timeout}
        try:
            transport = await asyncio.get_running_loop().start_tls(self._transport, self, ssl_context, **options)
        except ConnectionAbortedError as error:  # what asyncio raises after the timeout
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        self.connection_made(cast("asyncio.Transport", transport))
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore2 asks for."""
        if info == "is_readable":  # the vendor has closed the connection, or sent what was not asked for
            return bool(self._received) or self._has_ended or _is_readable(self._transport.get_extra_info("socket"))
        return self._transport.get_extra_info({"server_addr": "peername", "client_addr": "sockname"}.get(info, info))


class AsyncioBackend(httpcore2.AsyncNetworkBackend):
    """Takes over the connections that another backend opens, with its order of addresses, timeouts and errors."""

    def __init__(self, opener: httpcore2.AsyncNetworkBackend) -> None:
        self._opener = opener

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        """Open a connection. On event loops other than asyncio's for Unix it stays as it is."""
        opened, loop = await self._opener.connect_tcp(*args, **kwargs), asyncio.get_running_loop()
        if not isinstance(loop, asyncio.SelectorEventLoop):
            return opened
        socket = opened.get_extra_info("socket").dup()
        try:
            await opened.aclose()
            _, stream = await loop.create_connection(AsyncioStream, sock=socket)
        except BaseException:
            socket.close()
            raise
        if not stream.get_extra_info("server_addr"):
            await stream.aclose()
            raise httpcore2.ConnectError("the server has closed the connection")
        return stream


def _is_readable(socket: TransportSocket | None) -> bool:
    poll = select.poll()  # the event loop may not have looked yet
    if socket:
        poll.register(socket, select.POLLIN)
    return socket is None or bool(poll.poll(0))


async def _wait(waiter: asyncio.Future[None], seconds: float | None, error: Exception) -> None:
    # No task is canceled for a timeout, so that nothing can take one for a cancellation by the caller.
    timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, _wake, waiter, error)
    try:
        await waiter
    finally:
        if timer:
            timer.cancel()


def _wake(waiter: asyncio.Future[None] | None, error: Exception | None = None) -> None:
    if waiter and not waiter.done():
        waiter.set_exception(error) if error else waiter.set_result(None)
