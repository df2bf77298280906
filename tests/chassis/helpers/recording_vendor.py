"""A vendor that records every byte it receives: a real HTTP server on this machine."""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

type Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""


@dataclass
class Upstream:
    """The address of the server, and what it received: request lines, headers and bodies."""

    url: str
    received: list[bytes] = field(default_factory=list)


@contextmanager
def recording(answer: Callable[[bytes], Answer]) -> Generator[Upstream]:
    """Serve on a free port, and answer each request body with `answer`."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Record one request."""
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            upstream.received.append(self.requestline.encode() + b"\n" + bytes(self.headers) + body)
            status, headers, reply = answer(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        upstream = Upstream(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield upstream
        server.shutdown()


def saying(status: int, **headers: str) -> Callable[[bytes], Answer]:
    """Answer with a status, headers and no body."""
    return lambda _: (status, headers, b"")


def repeating(body: bytes) -> Answer:
    """Answer in OpenAI's protocol with the text of the question."""
    text = json.loads(body)["messages"][-1]["content"]
    return 200, {"Content-Type": "application/json"}, json.dumps(chat_reply(text)).encode()


def quoting(status: int) -> Callable[[bytes], Answer]:
    """Fail with a status, and quote the request in the error, as some vendors do."""

    def answer(body: bytes) -> Answer:
        error = {"error": {"message": f"cannot process {body.decode()}", "type": "x", "code": "y"}}
        return status, {"Content-Type": "application/json"}, json.dumps(error).encode()

    return answer


def chat_reply(text: str) -> dict[str, Any]:
    """Return a reply of OpenAI's chat completions."""
    return {
        "id": "r1",
        "object": "chat.completion",
        "created": 1,
        "model": "first",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
