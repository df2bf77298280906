"""A vendor that misbehaves: OpenAI's HTTP API on plain sockets, in a thread of its own."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

type Behavior = Callable[["Exchange"], Awaitable[None]]
FOREVER = 3600.0
TLS_HELLO = b"\x16"
REASONS = {200: "OK"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request.

    Args:
        number: The number of the request for this fault, from 1.
        writer: The connection.
        body: The body of the request.
    """

    number: int
    writer: asyncio.StreamWriter
    body: bytes = b""

    async def send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None
    ) -> None:
        """Answer; if `cut` is given, send only that many bytes of the body, although the header announces all."""
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body))} | (headers or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"HTTP/1.1 {status} {REASONS.get(status, 'Fault')}\r\n{head}\r\n".encode() + body[:cut])
        await self.writer.drain()


def status(code: int, error: dict[str, Any] | None = None, **headers: str) -> Behavior:
    """Answer with an HTTP status, an OpenAI error and headers, with `_` for `-` in their names."""
    body = json.dumps({"error": {"message": "no", "type": "fault", "code": None} | (error or {})}).encode()

    async def behave(exchange: Exchange) -> None:
        await exchange.send(code, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return behave


def raw(body: bytes, content_type: str = "application/json", cut: int | None = None, **headers: str) -> Behavior:
    """Answer 200 with these bytes and headers, with `_` for `-` in their names."""
    fields = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}

    async def behave(exchange: Exchange) -> None:
        await exchange.send(200, body, fields, cut)
        if cut is not None:
            exchange.writer.close()

    return behave


def completion(finish_reason: str = "stop", changes: dict[str, Any] | None = None, **message: Any) -> bytes:
    """Return a chat completion that used 10 tokens in and 5 out, with changes outside of its message."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": None} | message}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    fields = {"id": "c1", "object": "chat.completion", "created": 1, "model": "faulty"}
    return json.dumps(fields | {"choices": [choice], "usage": usage} | (changes or {})).encode()


def calling(tool: str, arguments: str, **changes: Any) -> bytes:
    """Return a completion that calls a tool, with changes outside of its message."""
    call = {"id": "t1", "type": "function", "function": {"name": tool, "arguments": arguments}}
    return completion("tool_calls", changes, tool_calls=[call])


def using(**usage: Any) -> Behavior:
    """Answer correctly, with this usage, of which fields that are not given are true."""
    truth = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return raw(calling("final_result", '{"text": "Four."}', usage=truth | usage))


WELL = calling("final_result", '{"text": "Four."}')
well = raw(WELL)


def answer_with(text: bytes) -> Behavior:
    """Answer with these bytes, which need not be HTTP, and close the connection."""

    async def behave(exchange: Exchange) -> None:
        exchange.writer.write(text)
        await exchange.writer.drain()
        exchange.writer.close()

    return behave


async def hang(_: Exchange) -> None:
    """Never answer."""
    await asyncio.sleep(FOREVER)


async def drip(exchange: Exchange) -> None:
    """Answer one byte at a time, so that no read times out."""
    await exchange.send(200, WELL, cut=0)
    for byte in WELL:
        exchange.writer.write(bytes([byte]))
        await exchange.writer.drain()
        await asyncio.sleep(0.1)


async def hang_up(exchange: Exchange) -> None:
    """Close the connection without a response."""
    exchange.writer.close()


async def answer_late(exchange: Exchange) -> None:
    """Answer correctly, after a second."""
    await asyncio.sleep(1)
    await well(exchange)


def once(first: Behavior) -> Behavior:
    """Misbehave for the first request only."""

    async def behave(exchange: Exchange) -> None:
        await (first if exchange.number == 1 else well)(exchange)

    return behave


@dataclass
class FaultyVendor:
    """Serves on a free port; the path before `/v1` selects the behavior."""

    port: int
    behaviors: dict[str, Behavior] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def url(self, name: str, behaviour: Behavior) -> str:
        """Return a base URL at which it behaves like this."""
        self.behaviors[name], self.requests[name] = behaviour, 0
        return f"http://127.0.0.1:{self.port}/{name}/v1"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it is closed."""
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while not writer.is_closing():
                start = await reader.readexactly(1)
                if start == TLS_HELLO:
                    break
                head = (start + await reader.readuntil(b"\r\n\r\n")).decode().lower()
                body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
                name = head.split("/")[1]
                self.requests[name] += 1
                await self.behaviors[name](Exchange(self.requests[name], writer, body))
        writer.close()


@contextmanager
def faulty_vendor() -> Generator[FaultyVendor]:
    """Serve while the context lasts."""
    opened: Future[tuple[FaultyVendor, Callable[[], None]]] = Future()
    thread = Thread(target=lambda: asyncio.run(_listen(opened)), daemon=True)
    thread.start()
    vendor, stop = opened.result()
    yield vendor
    stop()
    thread.join()


async def _listen(opened: Future[Any]) -> None:
    vendor, stop, loop = FaultyVendor(0), asyncio.Event(), asyncio.get_running_loop()
    server = await asyncio.start_server(vendor.converse, "127.0.0.1", 0)
    vendor.port = server.sockets[0].getsockname()[1]
    opened.set_result((vendor, lambda: loop.call_soon_threadsafe(stop.set)))
    await stop.wait()
