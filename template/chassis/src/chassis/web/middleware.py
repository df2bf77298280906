"""What every request gets: an id; and every call: its caller, limits on size, time and concurrency, and cancellation.

The API key in `Authorization: Bearer …` decides who the caller is. A call is canceled when its caller disconnects.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.call import new_call_id
from chassis.config.constraints import Constraints
from chassis.errors import CallError, DatabaseUnavailable, Overloaded, TooLarge, Unauthenticated
from chassis.guard.concurrency import ConcurrencyLimit, QueueFull
from chassis.store.credentials import PREFIXES, ApiKeys
from chassis.web.problems import INTERNAL_ERROR, BodyTooSlow, problem_response

CALL_ID_HEADER = "X-Call-Id"
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a caller who disconnected. It only shows in telemetry."""
DISCONNECTED: Message = {"type": "http.disconnect"}
log = structlog.get_logger()
MINUTE = 60.0

type Handler = Callable[[Request], Coroutine[Any, Any, Response]]
"""Answers a request."""


class AddCallId:
    """Gives each request an id, and sends it back in the header `X-Call-Id`, also with errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Made here and never taken from the caller, who could otherwise write into the log under another call's id.
        call_id = scope.setdefault("state", {})["call_id"] = new_call_id()
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[CALL_ID_HEADER] = call_id
                if scope["app"].state.draining:
                    headers["Connection"] = "close"  # so that the next request reaches another replica
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            # A bug in the chassis or in a library. Errors of the team's task end as `CallError` in the route.
            log.exception("request.failed", call_id=call_id, error=type(error).__name__)
            if not started:  # otherwise it is too late for another status
                response = problem_response(CallError(INTERNAL_ERROR), call_id)
                await response(scope, receive, send_with_id)


class RateLimiter:
    """Limits the calls of each caller in any period of 60 seconds (a sliding window log).

    Args:
        per_minute: How many calls.
        clock: Returns seconds that never go back; tests replace it.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._calls: dict[str, deque[float]] = {}

    def check(self, caller: str) -> int | None:
        """Count a call and return None, or return the whole seconds after which the caller may call again."""
        # A refused call is not counted, so a caller who keeps trying is let in again when the oldest call is a minute
        # old.
        moment, calls = self._clock(), self._calls.setdefault(caller, deque(maxlen=self._per_minute))
        if len(calls) == self._per_minute and moment - calls[0] < MINUTE:
            return math.ceil(MINUTE - (moment - calls[0]))
        calls.append(moment)  # the oldest one drops out
        return None


class RequestLimits:
    """Refuses a body that is too large or too slow, and a call when too many are running and waiting.

    The body is read before the call counts as running, so that slow uploads do not block other callers. A call may wait
    for half of its deadline, so that the other half is left for the answer. A waiting call whose caller disconnects
    leaves the queue.
    """

    def __init__(self, constraints: Constraints, max_body_bytes: int | None = None) -> None:
        self._limits = constraints.limits
        self._max_body_bytes = max_body_bytes or constraints.limits.max_body_bytes
        self._max_upload_seconds = constraints.latency.deadline_seconds
        self._max_wait_seconds = constraints.latency.deadline_seconds / 2
        self._calls = ConcurrencyLimit(self._limits.concurrent_calls, self._limits.queued_calls)

    async def handle(self, request: Request, handle: Handler) -> Response:
        """Return the response of `handle`, which gets the request with its whole body.

        Raises:
            TooLarge: The body is larger than allowed.
            BodyTooSlow: The body did not arrive within the deadline of a call.
            Overloaded: Too many calls are running.
        """
        # The cap on the size holds also while others wait, so the memory for bodies is bounded by the connections.
        body = await self._read_in_time(request.receive, request.headers)
        response = None
        if body is not None:
            response = await run_while_connected(partial(self._run, request.scope, handle), body, request.receive)
        return response or Response(status_code=CLIENT_CLOSED_REQUEST)

    async def _read_in_time(self, receive: Receive, headers: Headers) -> bytes | None:
        try:
            async with asyncio.timeout(self._max_upload_seconds):
                return await self._read(receive, headers)
        except TimeoutError:
            raise BodyTooSlow(f"The body took longer than {self._max_upload_seconds:g} s; send it faster") from None

    async def _read(self, receive: Receive, headers: Headers) -> bytes | None:
        """Return the body, or None if the caller disconnected before its end."""
        announced = headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._max_body_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == DISCONNECTED["type"]:
                return None
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:  # without a length, or with a wrong one
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    async def _run(self, scope: Scope, handle: Handler, receive: Receive) -> Response:
        scope["state"]["arrived_at"] = time.monotonic()  # waiting counts against the call's deadline
        try:
            async with self._calls.acquire(self._max_wait_seconds):
                return await handle(Request(scope, receive))
        except QueueFull:
            running = f"{self._limits.concurrent_calls} calls are running"
            raise Overloaded(f"{running} and others are waiting; try again later", retry_after=1) from None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._max_body_bytes} bytes")


async def run_while_connected[T](
    handle: Callable[[Receive], Coroutine[Any, Any, T]], body: bytes, receive: Receive
) -> T | None:
    """Run `handle`, and cancel it if the caller disconnects. What it shields, such as settling money, finishes.

    Returns None if it was cancelled.

    ASGI reports a disconnect only to code that waits in `receive`, and the application does not wait there while it
    works. So a separate task waits there from the start. The application receives the body, which was read before, and
    then the disconnect, from `replay`.

    Args:
        handle: Answers the request. Its argument returns what is left of the request.
        body: The whole body.
        receive: The server's channel, on which nothing but the disconnect can follow.
    """
    # Before the work, because a caller may be gone already.
    disconnect = asyncio.create_task(_wait_for_disconnect(receive))
    unread = [body]

    async def replay() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        await asyncio.wait({disconnect})
        return DISCONNECTED

    handling = asyncio.create_task(handle(replay))
    try:
        await asyncio.wait({handling, disconnect}, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also if the server cancels this task
        if not handling.done():
            handling.cancel()
            # Waited for: its end settles the money and writes `call.finished`, and the server may stop after this
            # request.
            await asyncio.wait({handling})
        disconnect.cancel()
    return None if handling.cancelled() else handling.result()  # raises what the application raised


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != DISCONNECTED["type"]:
        pass  # nothing else can follow a body in HTTP, but a server might send something


API_KEY = HTTPBearer(
    scheme_name="API key",
    description="`uv run chassis keys create CALLER` creates a key. It starts with `ck_`.",
    auto_error=False,
)


def keyed_route(api_keys: ApiKeys, limits: RequestLimits) -> type[APIRoute]:
    """Return a class of routes that authenticate the caller before they read anything else of the request.

    A dependency would be too late: FastAPI reads and parses the body first, for anyone, and would answer 422.
    """

    class KeyedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def authenticate_and_handle(request: Request) -> Response:
                request.state.caller = await _authenticate(request, api_keys)
                return await limits.handle(request, handle)

            return authenticate_and_handle

    return KeyedRoute


async def _authenticate(request: Request, api_keys: ApiKeys) -> str:
    # Exactly one header: two proxies that each pick another one would disagree about who the caller is.
    match [value.split() for value in request.headers.getlist("authorization")]:
        case [[scheme, key]] if scheme.lower() == "bearer" and key.startswith(PREFIXES["reviewer"]):
            # Decided by the form of the key alone, so that it does not reveal which keys exist.
            raise Unauthenticated(
                "A key that starts with rk_ is a reviewer's, for the page /review; send one that starts with ck_"
            )
        case [[scheme, key]] if scheme.lower() == "bearer":
            caller = await _find_caller(key, api_keys, request.state.call_id)
            if caller is None:
                raise Unauthenticated("The API key is invalid or revoked")
            return caller
        case _:
            raise Unauthenticated("Send the header `Authorization: Bearer <key>` once, with a key that starts with ck_")


async def _find_caller(key: str, api_keys: ApiKeys, call_id: str) -> str | None:
    try:
        return await api_keys.find_caller(key)
    except DatabaseUnavailable as error:  # logged here, because no call has started that would log it
        log.warning("database.unreachable", error=error.reason, call_id=call_id)
        raise


async def _caller(request: Request, _key: Annotated[HTTPAuthorizationCredentials | None, Security(API_KEY)]) -> str:
    return request.state.caller


type Caller = Annotated[str, Depends(_caller)]
"""The type of an endpoint's parameter that receives the caller. It also adds the padlock in /docs."""
