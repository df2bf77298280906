"""Connections to the HTTP server: they answer without delay, stay open while idle, and cost little."""

import asyncio
import gc
import socket
import struct
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPResponse

import pytest
from chassis.web.server import KEEP_ALIVE_SECONDS, OUT_OF_FILES, BoundedProtocol, RareLog, on_loop_error
from live_server import LiveService, serve_sample
from telemetry_sinks import Lines

BALANCER_IDLE_SECONDS = 60
"""The time after which AWS's and Google's load balancers, and nginx, close an idle connection."""

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveService]:
    """Serve the sample task without a model."""
    with serve_sample(tmp_path_factory.mktemp("service"), limits={"calls_per_minute": 1000}) as live:
        yield live


def connect(service: LiveService) -> socket.socket:
    """Open a connection without sending anything."""
    base_url = service.client.base_url
    return socket.create_connection((base_url.host, base_url.port or 0), timeout=20)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/healthz", 200), ("GET", "/metrics", 200), ("GET", "/nothing", 404), ("POST", "/v1/echo", 200)],
)
def test_a_reused_connection_answers_without_delay(service: LiveService, method: str, path: str, status: int) -> None:
    """The body of a response does not wait for the client to confirm the headers, which takes 40 ms on Linux."""
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}
    seconds: list[float] = []
    for number in range(15):
        started = time.perf_counter()
        content = b'{"text": "hello %d"}' % number if method == "POST" else None
        assert service.client.request(method, path, headers=headers, content=content).status_code == status
        seconds.append(time.perf_counter() - started)

    assert min(seconds[5:]) < 0.03  # with the delay, not one is faster


@pytest.mark.slow
def test_idle_connections_outlive_those_of_load_balancers(service: LiveService) -> None:
    """The balancer closes first, so that it never sends a request on a connection that is just being closed."""
    assert KEEP_ALIVE_SECONDS > BALANCER_IDLE_SECONDS
    with closing(connect(service)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        while not connection.recv(4096).endswith(b"}"):
            pass
        connection.settimeout(6)  # the default of uvicorn is 5 seconds
        with pytest.raises(TimeoutError):
            connection.recv(1)


def status_after(connection: socket.socket, sent: bytes) -> int:
    """Send something, read a whole response, and return its status."""
    connection.sendall(sent)
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def read_until_closed(connection: socket.socket) -> bytes:
    """Return everything that the server sends before it closes the connection."""
    received = bytearray()
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)


HALF_SENT = {
    "nothing": b"",
    "half a request line": b"POST /v1/ec",
    "half a header": b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nX-A: ",
    "a header more than once a second": b"POST /v1/echo HTTP/1.1\r\n" + b"X-A: b\r\n" * 20,
    "half a request after a whole one": HEALTH + b"GET /hea",
    "half a body without a key": HEAD + b"{",
}


@pytest.mark.parametrize("sent", HALF_SENT.values(), ids=HALF_SENT)
def test_headers_have_a_deadline(service: LiveService, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """A connection is closed in time, however slowly it sends, and also if earlier requests were answered."""
    monkeypatch.setattr("chassis.web.server.HEADER_SECONDS", 0.5)
    whole, half = sent.rpartition(b"\r\n\r\n")[0], sent.rpartition(b"\r\n\r\n")[2]
    with closing(connect(service)) as connection:
        started = time.monotonic()
        connection.sendall(whole + b"\r\n\r\n" if whole else b"")
        for byte in half:
            time.sleep(0.02)
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
        read_until_closed(connection)

    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD, 401),
        (HEAD.replace(b"Host: x", b"Host: x\r\nAuthorization: Bearer ck_guessed"), 401),
        (HEAD.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"), 401),
        (HEAD.replace(b"Content-Length: 65000", b"Transfer-Encoding: chunked"), 401),
        (HEAD.replace(b"65000", b"9000000000"), 401),
        (HEAD.replace(b"/v1/echo", b"/v1/unknown"), 404),
        (HEAD.replace(b"POST", b"DELETE"), 405),
        (HEAD.replace(b"/v1/echo", b"/docs"), 405),
    ],
)
def test_strangers_are_refused_before_their_body_is_read(service: LiveService, head: bytes, status: int) -> None:
    """The response arrives although nothing of the body was sent."""
    with closing(connect(service)) as connection:
        assert status_after(connection, head) == status


def test_a_refused_body_does_not_break_the_connection(service: LiveService) -> None:
    """Its rest is discarded, and the next request on the same connection is answered."""
    with closing(connect(service)) as connection:
        assert status_after(connection, HEAD) == 401
        assert status_after(connection, b"x" * 65000 + HEALTH) == 200


def test_strangers_cannot_use_up_connections(
    service: LiveService, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    """Too many connections close the oldest ones that never sent a request; callers notice nothing."""
    monkeypatch.setattr("chassis.web.server.MAX_CONNECTIONS", 20)
    monkeypatch.setattr("chassis.web.server.FULL", RareLog())
    with ExitStack() as opened:
        caller = opened.enter_context(closing(connect(service)))
        assert status_after(caller, HEALTH) == 200
        strangers = [opened.enter_context(closing(connect(service))) for _ in range(60)]
        for stranger in strangers:
            with suppress(OSError):  # it is closed already
                stranger.sendall(HALF_SENT["half a header"])
        with closing(connect(service)) as newcomer:
            assert status_after(newcomer, HEALTH) == 200
        assert status_after(caller, HEALTH) == 200
        strangers[0].settimeout(5)
        assert read_until_closed(strangers[0]) == b""

    assert len(lines.named("connections.full")) == 1


def test_a_shortage_of_files_is_logged_once(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    """For each connection that it cannot accept, asyncio reports an error, hundreds of times a second."""
    monkeypatch.setattr("chassis.web.server.REFUSED", RareLog())
    loop = asyncio.new_event_loop()
    for _ in range(500):
        on_loop_error(loop, {"message": OUT_OF_FILES, "exception": OSError(24, "Too many open files")})
    loop.close()

    [line] = lines.named("connections.refused")
    assert line["error"] == "[Errno 24] Too many open files"


def test_a_reset_connection_is_forgotten(service: LiveService) -> None:
    """Nothing keeps it in memory until a timer ends, with the body that its stranger sent."""

    def count() -> int:
        gc.collect()
        return sum(isinstance(each, BoundedProtocol) for each in gc.get_objects())

    before = count()
    for _ in range(20):
        with closing(connect(service)) as connection:
            assert status_after(connection, HEAD + b"x" * 30_000) == 401
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
    time.sleep(0.2)

    assert count() <= before + 2
