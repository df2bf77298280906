"""A vendor that costs nothing and answers at once: OpenAI's protocol, one canned completion, connections kept alive.

Run as a program it prints its port and serves until it is stopped, so that its CPU time is nobody else's.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

INPUT_TOKENS, OUTPUT_TOKENS = 42, 8
MODEL = "gpt-5.4-mini-2026-03-17"
"""What the stub says it is; the guard prices it."""

ANSWER = "It is refused with 429 until midnight."
TRAFFIC = f"loopback stub, {INPUT_TOKENS} tokens in, {OUTPUT_TOKENS} out"
"""For the conditions of a table."""

HEAD_END = b"\r\n\r\n"
BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Completions(asyncio.Protocol):
    """One connection: a reply for every request that has arrived whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing received."""
        self._transport, self._received = transport, b""

    def data_received(self, data: bytes) -> None:
        """Reply as often as a head and the body that it announces, if any, are complete."""
        self._received += data
        while HEAD_END in self._received:
            head, _, rest = self._received.partition(HEAD_END)
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            self._received = rest[length:]
            assert isinstance(self._transport, asyncio.WriteTransport)
            self._transport.write(REPLY)


@contextmanager
def running() -> Generator[str]:
    """Run the stub in a process of its own, and name its base URL."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


async def serve() -> None:
    """Serve on any free port."""
    server = await asyncio.get_running_loop().create_server(Completions, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
