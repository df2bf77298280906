"""A webhook on this machine, which keeps what it gets."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override


@dataclass
class Receiver:
    """A webhook on this machine. It answers with these statuses, one after another, and then with 204.

    With a barrier it answers no request until as many are open as the barrier has parties.
    """

    statuses: list[int]
    address: str = ""
    barrier: threading.Barrier | None = None
    got: list[tuple[dict[str, str], str]] = field(default_factory=list)


@contextmanager
def receiving(*statuses: int) -> Generator[Receiver]:
    """Run a receiver until the context ends."""
    receiver = Receiver(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if receiver.barrier:
                receiver.barrier.wait()
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # notifications come at once, and 5 connections could wait

    server = Server(("127.0.0.1", 0), Handler)
    receiver.address = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
