"""Sends requests to OpenAI's Chat Completions API, and to servers that copy it, with one POST.

The SDK takes more time than the rest of a guarded call: it compares each value with every type that the API knows,
merges headers, copies options, and builds the reply field by field. pydantic-ai has written the request already and
validates the reply itself, so a plain request needs none of that. A request with other options still takes the SDK's
way, and `tests/test_openai_requests.py` holds the two against each other.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, cast

import httpx2
from openai import APIConnectionError, APITimeoutError, AsyncOpenAI, NotGiven, Omit
from openai._httpx2 import request_exceptions, timeout_exceptions  # pyright: ignore[reportPrivateUsage]
from openai._models import FinalRequestOptions, construct_type  # pyright: ignore[reportPrivateUsage]
from openai._utils._json import openapi_dumps  # pyright: ignore[reportPrivateUsage]
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

NOT_IN_BODY = ("timeout", "extra_headers", "extra_query", "extra_body")
"""The parameters of a request that say how to send it."""


class DirectCompletions:
    """Stands in for `chat.completions` of the SDK.

    Args:
        sdk: Writes the headers, reads errors, and sends what is no plain request.
        client: The client that the SDK sends with.

    Raises:
        AttributeError: This version of the SDK lacks a private function that is needed here.
    """

    def __init__(self, sdk: AsyncOpenAI, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._create = cast("Callable[..., Awaitable[Any]]", sdk.chat.completions.create)
        self._build_request = sdk._build_request  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._status_error = sdk._make_status_error_from_response  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def create(self, **parameters: Any) -> Any:
        """Send a request. Parameters, result and errors are those of the SDK's method."""
        body = {name: value for name, value in parameters.items() if not isinstance(value, Omit | NotGiven)}
        options = {name: body.pop(name) for name in NOT_IN_BODY if name in body}
        body.update(options.pop("extra_body", None) or {})
        headers: dict[str, str] = options.pop("extra_headers", None) or {}
        if options or body.get("stream"):
            # What the SDK is given as `extra_body` it does not convert.
            options |= {"extra_headers": headers, "extra_body": body, "stream": body.get("stream")}
            return await self._create(model=body["model"], messages=(), **options)
        return _completion(await self._send(self._request(body, headers)))

    @cached_property
    def _template(self) -> httpx2.Request:
        """Return a request of the SDK: the headers and the URL of every other one."""
        options = FinalRequestOptions(method="post", url="/chat/completions", security={"bearer_auth": True})
        template = self._build_request(options)
        del template.headers["content-length"]
        return template

    def _request(self, body: dict[str, Any], headers: dict[str, str]) -> httpx2.Request:
        template, content = self._template, openapi_dumps(body)
        merged = template.headers.copy()
        merged.update({**headers, "Content-Length": str(len(content))})
        cookies, stream = self._client.cookies, httpx2.ByteStream(content)  # as `content` it would be examined
        return httpx2.Request("POST", template.url, headers=merged, cookies=cookies, stream=stream)

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._client.send(request)
        except timeout_exceptions() as error:
            raise APITimeoutError(request=request) from error
        except request_exceptions() as error:
            raise APIConnectionError(request=request) from error
        if not response.is_success:
            raise self._status_error(response)
        return response


def _completion(response: httpx2.Response) -> Any:
    """Return the reply in a response, or what the SDK makes of a response without one."""
    with suppress(ValidationError):  # all but a few replies end here, read and validated at once
        return ChatCompletion.model_validate_json(response.content)
    try:
        data = response.json()
    except Exception:
        if response.headers.get("content-type", "*").partition(";")[0].endswith("json"):
            raise
        return response.text
    with suppress(ValidationError):
        return ChatCompletion.model_validate(data)
    return data if data is None else construct_type(type_=ChatCompletion, value=data)
