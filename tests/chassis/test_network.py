"""Requests to vendors on real sockets: asyncio's transports end each like the streams of httpcore2."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Event
from typing import Any

import anyio
import httpcore2
import httpx2
import pytest
from chassis.guard.egress import Endpoint, create_client
from chassis.guard.network import MAX_BUFFERED_BYTES, AsyncioBackend, AsyncioStream, use_asyncio
from socket_server import PATIENCE, Script, Server, certified, request_from, serving, wait_for_end
from structlog.testing import capture_logs

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
REPLY = HEAD % 2 + b"ok"
OK = "200 of 2 bytes"
LONG = bytes(range(256)) * 12_000
"""3 MB, several times what the buffers of this process hold."""
LONGER = LONG * 10
"""More than the kernel takes."""
SHORT = 0.2
STREAMS: Any = httpcore2.AnyIOBackend()

type Contexts = tuple[ssl.SSLContext, ssl.SSLContext]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("real_requests")]


@pytest.fixture(params=[False, True], ids=["anyio", "asyncio"])
def backend(request: pytest.FixtureRequest) -> httpcore2.AsyncNetworkBackend:
    """Return the connections of httpcore2, and ours."""
    return AsyncioBackend(STREAMS) if request.param else STREAMS


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """Return TLS for a server that is called `localhost`, and for a client that trusts it."""
    return certified(tmp_path_factory.mktemp("certificates"), "localhost")


async def outcome(pool: httpcore2.AsyncConnectionPool, url: str, body: bytes = b"", **seconds: float) -> str:
    """Send a request, with these timeouts, and return what came of it."""
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), float(PATIENCE)) | seconds
    headers = [(b"Host", b"localhost"), (b"Content-Length", b"%d" % len(body))]
    try:
        response = await pool.request("POST", url, headers=headers, content=body, extensions={"timeout": timeouts})
    except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
        return type(error).__name__
    assert response.content in {b"ok", LONG}
    return f"{response.status} of {len(response.content)} bytes"


# What servers do


def answer(_: Server, connection: socket.socket) -> None:
    """Answer until the client closes the connection."""
    while True:
        request_from(connection)
        connection.sendall(REPLY)


def answer_once(server: Server, connection: socket.socket) -> None:
    """Answer, and close the connection in silence."""
    request_from(connection)
    connection.sendall(REPLY)
    connection.shutdown(socket.SHUT_RDWR)
    server.reached.set()


def answer_and_say_more(server: Server, connection: socket.socket) -> None:
    """Answer, and send what was not asked for."""
    request_from(connection)
    connection.sendall(REPLY)
    server.answered.wait(PATIENCE)
    connection.sendall(REPLY.replace(b"200", b"408"))
    server.reached.set()
    wait_for_end(connection)


def echo(_: Server, connection: socket.socket) -> None:
    """Send the body back."""
    body = request_from(connection)
    connection.sendall(HEAD % len(body) + body)


def reply_with(*parts: bytes) -> Script:
    """Send these parts and close the connection."""

    def script(_: Server, connection: socket.socket) -> None:
        request_from(connection)
        for part in parts:
            connection.sendall(part)

    return script


def reset(_: Server, connection: socket.socket) -> None:
    """Read a request, and reset the connection."""
    request_from(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def keep_silent(server: Server, connection: socket.socket) -> None:
    """Read a request, and wait."""
    request_from(connection)
    server.reached.set()
    wait_for_end(connection)


def read_nothing(server: Server, connection: socket.socket) -> None:
    """Take the first byte only."""
    connection.recv(1)
    server.reached.set()
    server.over.wait()


def close_one_half(_: Server, connection: socket.socket) -> None:
    """Answer at once, say that nothing will follow, and only then read the request."""
    connection.recv(1)
    connection.sendall(REPLY)
    connection.shutdown(socket.SHUT_WR)
    wait_for_end(connection)


REQUESTS: dict[str, tuple[Script, Sequence[bytes], list[str], int]] = {
    "a connection is used again": (answer, [b"", b"x", LONG], [OK] * 3, 1),
    "it was closed in between": (answer_once, [b"x"] * 3, [OK] * 3, 3),
    "something came in between": (answer_and_say_more, [b"x"] * 2, [OK] * 2, 2),
    "long bodies": (echo, [LONG], [f"200 of {len(LONG)} bytes"], 1),
    "in single bytes": (reply_with(*(bytes([byte]) for byte in REPLY)), [b"x"], [OK], 1),
    "without a length": (reply_with(b"HTTP/1.1 200 OK\r\n\r\n", LONG), [b"x"], [f"200 of {len(LONG)} bytes"], 1),
    "no reply": (reply_with(), [b"x"], ["RemoteProtocolError"], 1),
    "half a head": (reply_with(HEAD[:20]), [b"x"], ["RemoteProtocolError"], 1),
    "half a body": (reply_with(HEAD % 100, b"half"), [b"x"], ["RemoteProtocolError"], 1),
    "no HTTP": (reply_with(b"220 mail.example ESMTP\r\n\r\n"), [b"x"], ["RemoteProtocolError"], 1),
    "a reset": (reset, [b"x"], ["ReadError"], 1),
}
"""A script, the bodies sent to it one after the other, what comes of each, and the number of connections."""


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("case", REQUESTS)
def test_requests(case: str, backend: httpcore2.AsyncNetworkBackend, contexts: Contexts, *, encrypted: bool) -> None:
    """Whatever a vendor does, the result is the same, and no connection stays open."""
    script, bodies, expected, connections = REQUESTS[case]

    async def story() -> list[str]:
        async with httpcore2.AsyncConnectionPool(contexts[1], network_backend=backend) as pool:
            found: list[str] = []
            for body in bodies:
                if found and script is not answer:
                    server.answered.set()
                    server.reached.wait(PATIENCE)  # without giving the event loop a chance to look
                    server.reached.clear()
                found.append(await outcome(pool, url, body))
            return found

    with serving(script, contexts[0] if encrypted else None) as server:
        url = f"{'https' if encrypted else 'http'}://localhost:{server.port}/"
        assert asyncio.run(story()) == expected
    assert server.accepted == connections


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    ("script", "body", "error"), [(keep_silent, b"x", "ReadTimeout"), (read_nothing, LONGER, "WriteTimeout")]
)
def test_timeouts(
    script: Script,
    body: bytes,
    error: str,
    backend: httpcore2.AsyncNetworkBackend,
    contexts: Contexts,
    *,
    encrypted: bool,
) -> None:
    """A vendor that neither answers nor reads is given up, and the connection is closed."""

    async def story() -> list[str]:
        async with httpcore2.AsyncConnectionPool(contexts[1], network_backend=backend) as pool:
            return [await outcome(pool, url, body, read=SHORT, write=SHORT), str(pool.connections)]

    with serving(script, contexts[0] if encrypted else None) as server:
        url = f"{'https' if encrypted else 'http'}://localhost:{server.port}/"
        assert asyncio.run(story()) == [error, "[]"]


def test_half_a_connection(backend: httpcore2.AsyncNetworkBackend) -> None:
    """A server may answer, and send no more, before it has read the request."""

    async def story() -> str:
        async with httpcore2.AsyncConnectionPool(network_backend=backend) as pool:
            return await outcome(pool, f"http://127.0.0.1:{server.port}/", LONG)

    with serving(close_one_half) as server:
        assert asyncio.run(story()) == OK


# Connecting


def never_accepting(stack: ExitStack, host: str = "127.0.0.1", port: int = 0) -> int:
    """Return the port of a server whose queue is full, so that no answer to a connection ever comes."""
    listener = stack.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0)
        waiting.connect_ex(listener.getsockname())
    return listener.getsockname()[1]


def test_a_refused_connection(backend: httpcore2.AsyncNetworkBackend) -> None:
    """No server listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert (
        asyncio.run(outcome(httpcore2.AsyncConnectionPool(network_backend=backend), f"http://127.0.0.1:{port}/"))
        == "ConnectError"
    )


def test_a_connection_that_is_never_accepted(backend: httpcore2.AsyncNetworkBackend) -> None:
    """The timeout ends it, at a number and at a name with several addresses."""
    with ExitStack() as stack:
        port = never_accepting(stack)
        for host in ("127.0.0.1", "localhost"):
            pool = httpcore2.AsyncConnectionPool(network_backend=backend)
            assert asyncio.run(outcome(pool, f"http://{host}:{port}/", connect=SHORT)) in {
                "ConnectTimeout",
                "ConnectError",
            }


@pytest.mark.parametrize("first", ["refuses", "hangs"])
def test_the_next_address_of_a_name_is_tried(
    first: str, backend: httpcore2.AsyncNetworkBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once if the first one refuses, and soon if it says nothing (RFC 8305)."""
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        hosts = ["127.0.0.2", "127.0.0.1"] if host in {"vendor.example", b"vendor.example"} else [host]
        return [info for each in hosts for info in real(each, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving(answer) as server, ExitStack() as stack:
        if first == "hangs":
            never_accepting(stack, "127.0.0.2", server.port)

        async def story() -> str:
            async with httpcore2.AsyncConnectionPool(network_backend=backend) as pool:
                return await outcome(pool, f"http://vendor.example:{server.port}/")

        assert asyncio.run(story()) == OK


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_an_address_of_version_6(backend: httpcore2.AsyncNetworkBackend) -> None:
    """The egress check sees the address as it sees one of version 4."""

    async def story() -> tuple[str, str]:
        stream = await backend.connect_tcp("::1", server.port)
        address = stream.get_extra_info("server_addr")[0]
        await stream.aclose()
        async with httpcore2.AsyncConnectionPool(network_backend=backend) as pool:
            return await outcome(pool, f"http://[::1]:{server.port}/"), address

    with serving(answer, host="::1") as server:
        assert asyncio.run(story()) == (OK, "::1")


# TLS


def say_nothing(server: Server, connection: socket.socket) -> None:
    """Read until the client closes the connection."""
    server.reached.set()
    wait_for_end(connection)


def read_and_close(_: Server, connection: socket.socket) -> None:
    """Read a little, and close the connection."""
    connection.recv(1 << 20)


def close(_: Server, connection: socket.socket) -> None:
    """Do no more than close the connection."""
    connection.shutdown(socket.SHUT_RDWR)


def reset_at_once(_: Server, connection: socket.socket) -> None:
    """Read a little, and reset the connection."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer_in_plain(_: Server, connection: socket.socket) -> None:
    """Know no TLS."""
    connection.recv(1 << 20)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def encrypt(server: Server, connection: socket.socket, context: ssl.SSLContext, then: Script) -> None:
    """Be a server with TLS from here on."""
    with context.wrap_socket(connection, server_side=True) as encrypted:
        then(server, encrypted)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (say_nothing, "ConnectTimeout"),
        (read_and_close, "ConnectError"),
        (close, "ConnectError"),
        (reset_at_once, "ConnectError"),
        (answer_in_plain, "ConnectError"),
    ],
)
def test_handshakes_that_fail(
    script: Script, error: str, backend: httpcore2.AsyncNetworkBackend, contexts: Contexts
) -> None:
    """A server that says nothing is given up after the timeout; with all others it is known at once."""

    async def story() -> str:
        async with httpcore2.AsyncConnectionPool(contexts[1], network_backend=backend) as pool:
            return await outcome(pool, url, b"x", connect=SHORT if script is say_nothing else PATIENCE)

    with serving(script) as server:
        url = f"https://localhost:{server.port}/"
        assert asyncio.run(story()) == error


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_certificates_are_checked(host: str, backend: httpcore2.AsyncNetworkBackend, contexts: Contexts) -> None:
    """Whether somebody trusted has signed it, and whether it is that of the host."""
    client = ssl.create_default_context() if host == "localhost" else contexts[1]

    async def story() -> str:
        async with httpcore2.AsyncConnectionPool(client, network_backend=backend) as pool:
            return await outcome(pool, f"https://{host}:{server.port}/")

    with serving(answer, contexts[0]) as server:
        assert asyncio.run(story()) == "ConnectError"


def test_nothing_from_before_tls_is_a_reply(backend: httpcore2.AsyncNetworkBackend, contexts: Contexts) -> None:
    """Somebody on the way can send it before the vendor's handshake, which it cannot forge."""

    def inject(server: Server, connection: socket.socket) -> None:
        connection.sendall(REPLY)
        server.reached.set()
        encrypt(server, connection, contexts[0], keep_silent)

    async def story() -> str:
        stream = await backend.connect_tcp("127.0.0.1", server.port)
        await asyncio.to_thread(server.reached.wait)
        try:
            stream = await stream.start_tls(contexts[1], "localhost", 1)
            return (await stream.read(100, 1)).decode()
        except httpcore2.ConnectError:
            return "ConnectError"
        finally:
            await stream.aclose()

    with serving(inject) as server:
        assert asyncio.run(story()) == "ConnectError"


# Proxies


def proxying(answer_to_connect: bytes, then: Script) -> Script:
    """Read CONNECT, answer, and go on."""

    def script(server: Server, connection: socket.socket) -> None:
        request_from(connection)
        connection.sendall(answer_to_connect)
        then(server, connection)

    return script


ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize(
    ("answered", "then", "expected"),
    [
        (ESTABLISHED, answer, OK),
        (ESTABLISHED, echo, f"200 of {len(LONG)} bytes"),
        (ESTABLISHED, read_and_close, "ConnectError"),
        (ESTABLISHED, close, "ConnectError"),
        (ESTABLISHED, say_nothing, "ConnectTimeout"),
        (ESTABLISHED + REPLY, say_nothing, "ConnectTimeout"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", close, "ProxyError"),
        (b"", close, "RemoteProtocolError"),
        (b"", say_nothing, "ReadTimeout"),
    ],
)
def test_proxies(
    answered: bytes, then: Script, expected: str, backend: httpcore2.AsyncNetworkBackend, contexts: Contexts
) -> None:
    """TLS with the vendor begins on a connection that has carried CONNECT."""
    seconds: dict[str, float] = {expected.removesuffix("Timeout").lower(): SHORT}  # none other ends early
    with_vendor = partial(encrypt, context=contexts[0], then=then) if then in {answer, echo} else then

    async def story() -> str:
        proxy = httpcore2.Proxy(f"http://127.0.0.1:{server.port}/")
        async with httpcore2.AsyncConnectionPool(contexts[1], proxy=proxy, network_backend=backend) as pool:
            return await outcome(pool, "https://localhost/", LONG, **seconds)

    with serving(proxying(answered, with_vendor)) as server:
        assert asyncio.run(story()) == expected


# Cancellation


@pytest.mark.parametrize("how", ["task", "anyio"])
@pytest.mark.parametrize(
    ("script", "body", "encrypted"),
    [
        (keep_silent, b"x", False),
        (keep_silent, b"x", True),
        (read_nothing, LONGER, False),
        (read_nothing, LONGER, True),
        (say_nothing, b"x", True),
    ],
    ids=["while it reads", "while it reads TLS", "while it writes", "while it writes TLS", "in the handshake"],
)
def test_cancellation(
    how: str,
    script: Script,
    body: bytes,
    backend: httpcore2.AsyncNetworkBackend,
    contexts: Contexts,
    *,
    encrypted: bool,
) -> None:
    """The caller goes on at once, the connection is closed, and the next request has one of its own."""
    if script is say_nothing and not isinstance(backend, AsyncioBackend):
        pytest.skip("httpcore2 leaves such a connection to the garbage collector")

    async def story() -> list[object]:
        async with httpcore2.AsyncConnectionPool(contexts[1], network_backend=backend) as pool:
            ended = await canceled(how, outcome(pool, url, body), server.reached)
            return [ended, pool.connections, await outcome(pool, next_url), len(pool.connections)]

    context = contexts[0] if encrypted and script is not say_nothing else None
    with serving(script, context) as server, serving(answer) as next_server:
        url, next_url = (
            f"{'https' if encrypted else 'http'}://localhost:{server.port}/",
            f"http://127.0.0.1:{next_server.port}/",
        )
        assert asyncio.run(story()) == ["canceled", [], OK, 1]


async def canceled(how: str, request: Coroutine[Any, Any, str], reached: Event) -> str:
    """Cancel a request at this point; say how it ended."""
    if how == "task":
        task = asyncio.create_task(request)
        await asyncio.to_thread(reached.wait)
        task.cancel()
        await asyncio.wait([task])
        return "canceled" if task.cancelled() else task.result()
    with anyio.move_on_after(SHORT):
        return await request
    return "canceled"


# What only ours does


async def test_a_fast_vendor_does_not_fill_the_memory() -> None:
    """What is not read stays with the kernel, and then with the vendor."""

    def pour(_: Server, connection: socket.socket) -> None:
        connection.sendall(LONGER)

    with serving(pour) as server:
        stream = await AsyncioBackend(STREAMS).connect_tcp("127.0.0.1", server.port)
        received = await stream.read(1)
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert len(vars(stream)["_received"]) < 8 * MAX_BUFFERED_BYTES
        while part := await stream.read(1 << 16):
            received += part
        assert received == LONGER
        await stream.aclose()


async def test_a_connection_that_is_reset_as_it_opens() -> None:
    """There is no address to check, so there is no connection."""

    class Opener(httpcore2.AsyncNetworkBackend):
        async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
            stream = await STREAMS.connect_tcp(*args, **kwargs)
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            return stream

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(httpcore2.ConnectError, match="has closed the connection"),
    ):
        await AsyncioBackend(Opener()).connect_tcp(*listener.getsockname())


@pytest.mark.parametrize("act", ["read", "write"])
async def test_a_connection_that_the_client_closes(act: str) -> None:
    """A read or a write that waits, or comes later, fails."""
    with serving(read_nothing) as server:
        stream = await AsyncioBackend(STREAMS).connect_tcp("127.0.0.1", server.port)
        for _ in range(2):
            waiting = asyncio.create_task(stream.read(1) if act == "read" else stream.write(LONGER))
            await asyncio.sleep(0)
            await stream.aclose()
            with pytest.raises(httpcore2.ReadError if act == "read" else httpcore2.WriteError):
                await waiting
        assert stream.get_extra_info("is_readable")


def test_clients_send_through_it() -> None:
    """With the locked version of httpx2."""

    async def story(url: str) -> httpx2.Response:
        async with create_client(Endpoint.from_url(url, "any"), PATIENCE) as client:
            return await client.post(url)

    with serving(answer) as server:
        response = asyncio.run(story(f"http://127.0.0.1:{server.port}"))
    assert isinstance(response.extensions["network_stream"], AsyncioStream)


async def test_a_changed_client_sends_as_it_always_has() -> None:
    """Without a private name that is needed here; the log says so."""
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200)))

    with capture_logs() as logs:
        use_asyncio(client)

    assert [line["event"] for line in logs] == ["egress.asyncio_off"]
    assert "_pool" in logs[0]["reason"]
    assert (await client.get("http://vendor.example")).is_success
