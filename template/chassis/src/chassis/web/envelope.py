"""The outer wall: every request gets its id, and what nobody foresaw becomes a plain 500."""

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.call import new_call_id
from chassis.errors import CallError
from chassis.web.problems import MISTAKE, problem

HEADER = "X-Call-Id"
log = structlog.get_logger()


class Envelope:
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
