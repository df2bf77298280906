"""Who calls: the key in `Authorization: Bearer …` decides, and nothing else in the request does."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from chassis.errors import DatabaseUnavailable, Unauthenticated
from chassis.store.api_keys import ApiKeys

SCHEME = HTTPBearer(
    scheme_name="key",
    description="An API key. `chassis keys create CALLER` creates one; it starts with `ck_`.",
    auto_error=False,
)

log = structlog.get_logger()


def keyed_route(keys: ApiKeys) -> type[APIRoute]:
    """Return a kind of route that knows its caller before it looks at what they sent."""

    class KeyedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_caller(request: Request) -> Response:
                request.state.caller = await _authenticated(request, keys)
                return await handle(request)

            return handle_caller

    return KeyedRoute


async def _authenticated(request: Request, keys: ApiKeys) -> str:
    match [value.split() for value in request.headers.getlist("authorization")]:
        case [[scheme, key]] if scheme.lower() == "bearer":
            caller = await _holder(key, keys, request.state.call_id)
            if caller is None:
                raise Unauthenticated("This key was never issued, or it was revoked")
            return caller
        case _:
            raise Unauthenticated("Send the header `Authorization: Bearer <key>` once, with a key that begins with ck_")


async def _holder(key: str, keys: ApiKeys, call_id: str) -> str | None:
    try:
        return await keys.find_caller(key)
    except DatabaseUnavailable as error:  # no call has begun that would write it down
        log.warning("database.unreachable", error=error.reason, call_id=call_id)
        raise


async def _caller(request: Request, _key: Annotated[HTTPAuthorizationCredentials | None, Security(SCHEME)]) -> str:
    return request.state.caller


type Caller = Annotated[str, Depends(_caller)]
"""A parameter of an endpoint on a keyed route: who calls. It also puts the padlock into /docs."""
