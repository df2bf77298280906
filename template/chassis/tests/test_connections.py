"""Connections to the HTTP server: they answer without delay, stay open while idle, and cost strangers more than us."""

import socket
import statistics
import time
from collections.abc import Generator
from contextlib import closing

import pytest
from live_server import LiveService, serve_sample

from chassis.web.server import KEEP_ALIVE_SECONDS

BALANCER_IDLE_SECONDS = 60
"""The time after which AWS's and Google's load balancers, and nginx, close an idle connection."""


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

    assert statistics.median(seconds[5:]) < 0.03


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
