"""How much may come in: the size of one body, the time it takes, and how many calls at once."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.call import new_call_id
from chassis.config.constraints import Constraints
from chassis.errors import CallError, Overloaded, TooLarge
from chassis.limits import ConcurrencyLimit, QueueFull
from chassis.web.problems import MISTAKE, BodyTooSlow, problem, refusal

EXEMPT_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Whoever watches the service gets an answer also when it is full."""


class LimitRequests:
    """Refuses a body over `limits.max_body_bytes`, and a call when there is no place for it, not even to wait.

    The body is read before the call takes its place, so that a slow upload keeps nobody out. A call that waits uses up
    its own time, and at most half of it: the other half must do for the answer. Whoever hangs up leaves the line.
    """

    def __init__(self, app: ASGIApp, constraints: Constraints) -> None:
        self._app = app
        self._limits = constraints.limits
        self._longest_upload = constraints.latency.deadline_seconds
        self._longest_wait = constraints.latency.deadline_seconds / 2
        self._line = ConcurrencyLimit(self._limits.concurrent_calls, self._limits.queued_calls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or refuse it."""
        if scope["type"] != "http" or scope["path"] in EXEMPT_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read_in_time(scope, receive)
            if body is not None:
                await while_connected(partial(self._enter, scope, send), body, receive)
        except (TooLarge, BodyTooSlow, Overloaded) as error:
            await _refuse(error, scope, receive, send)

    async def _read_in_time(self, scope: Scope, receive: Receive) -> bytes | None:
        try:
            async with asyncio.timeout(self._longest_upload):
                return await self._read(scope, receive)
        except TimeoutError:
            raise BodyTooSlow(f"The body took longer than {self._longest_upload:g} s; send it faster") from None

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, or None if the client hung up before its end."""
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self._limits.max_body_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._limits.max_body_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    async def _enter(self, scope: Scope, send: Send, receive: Receive) -> None:
        scope["state"]["arrived_at"] = time.monotonic()
        try:
            async with self._line.acquire(self._longest_wait):
                await self._app(scope, receive, send)
        except QueueFull:
            places = f"{self._limits.concurrent_calls} calls are under way and others wait"
            raise Overloaded(f"{places}; there is no place for this one", retry_after=1) from None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body has more than {self._limits.max_body_bytes} bytes, which is the limit")


async def _refuse(error: CallError, scope: Scope, receive: Receive, send: Send) -> None:
    await refusal(error, scope["state"]["call_id"])(scope, receive, send)


HUNG_UP: Message = {"type": "http.disconnect"}

type Work = Callable[[Receive], Coroutine[Any, Any, None]]
"""What answers a request, given where to receive what is left of it."""


async def while_connected(work: Work, body: bytes, receive: Receive) -> None:
    """Do the work, and cancel it as soon as the caller hangs up. Whatever it shields, such as money, comes to its end.

    Args:
        work: Answers the request.
        body: The whole body, which has been received already.
        receive: Where the next message can only be that the caller has hung up.
    """
    hanging_up = asyncio.create_task(_hang_up(receive))
    unread = [body]

    async def replay() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        await asyncio.wait({hanging_up})
        return HUNG_UP

    working = asyncio.create_task(work(replay))
    try:
        await asyncio.wait({working, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
        hanging_up.cancel()
    if not working.cancelled():
        working.result()


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != HUNG_UP["type"]:
        pass  # HTTP has nothing else to say after a body, but a server might


HEADER = "X-Call-Id"
log = structlog.get_logger()


class AddCallId:
    """Names each request in `X-Call-Id`, whatever becomes of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call_id = scope.setdefault("state", {})["call_id"] = new_call_id()
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[HEADER] = call_id
                if scope["app"].state.draining:
                    headers["Connection"] = "close"  # the next request should find another replica
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            log.exception("request.failed", call_id=call_id, error=type(error).__name__)
            if not started:
                response = problem(CallError(MISTAKE), call_id)
                await response(scope, receive, send_with_id)
