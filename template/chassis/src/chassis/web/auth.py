"""Authentication: the API key in `Authorization: Bearer …` decides who the caller is."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from chassis.errors import DatabaseUnavailable, Unauthenticated
from chassis.store.api_keys import ApiKeys
from chassis.web.middleware import RequestLimits

API_KEY = HTTPBearer(
    scheme_name="API key",
    description="`uv run chassis keys create CALLER` creates a key. It starts with `ck_`.",
    auto_error=False,
)

log = structlog.get_logger()


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
    match [value.split() for value in request.headers.getlist("authorization")]:
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
