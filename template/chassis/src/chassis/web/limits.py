"""How much may come in: the size of one body, and how many calls at once."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.constraints import Limits
from chassis.errors import CallError, Overloaded, TooLarge
from chassis.web.problems import problem

EXEMPT = frozenset({"/healthz", "/readyz", "/metrics"})
"""Whoever watches the service gets an answer also when it is full."""


class LimitRequests:
    """Refuses a body over `limits.body_bytes` and a call over `limits.concurrent_calls`.

    The body is read before the call takes its place, so that a slow upload keeps nobody out.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or refuse it."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
            if body is not None:
                await self._enter(scope, _replayed(body, receive), send)
        except (TooLarge, Overloaded) as error:
            await _refuse(error, scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, or None if the client hung up before its end."""
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self._limits.body_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._limits.body_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._calls >= self._limits.concurrent_calls:
            raise Overloaded(f"{self._limits.concurrent_calls} calls are under way, which is the limit", retry_after=1)
        self._calls += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._calls -= 1

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body has more than {self._limits.body_bytes} bytes, which is the limit")


async def _refuse(error: CallError, scope: Scope, receive: Receive, send: Send) -> None:
    await problem(error, scope["state"]["call_id"])(scope, receive, send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with the whole body."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
