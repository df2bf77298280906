"""What OpenAI's SDK sends for us, against what it sends for pydantic-ai alone."""

import dataclasses
import json
import ssl
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, cast

import anyio
import httpx2
import pytest
from chassis.config.constraints import ModelConfig
from chassis.guard.vendors import MODEL_FACTORIES
from openai import AsyncOpenAI, Omit
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from structlog.testing import capture_logs

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("real_requests")]

type Handler = Callable[[httpx2.Request], httpx2.Response]

URL = "http://vendor.example/v1"
ASKED = ModelRequest(parts=[UserPromptPart("May I return it?")])
CALLED = ModelResponse(parts=[TextPart("I look it up."), ToolCallPart("find", {"query": "ü", "limit": None}, "t1")])
RETURNED = ModelRequest(parts=[ToolReturnPart("find", {"pages": [1, 2.5, True, None]}, "t1")])
CONVERSATIONS: dict[str, list[ModelMessage]] = {
    "one question": [ASKED],
    "a system prompt": [ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart("Why?")])],
    "instructions": [ModelRequest(parts=[UserPromptPart("Why?")], instructions="Be brief.")],
    "an empty text": [ModelRequest(parts=[UserPromptPart("")])],
    "every script": [ModelRequest(parts=[UserPromptPart('退货 "ok" \\ \u2028 \U0001f600 \x00')])],
    "several texts": [ModelRequest(parts=[UserPromptPart(["one", "two"])])],
    "an image by its address": [ModelRequest(parts=[UserPromptPart(["see", ImageUrl("https://a.example/b.png")])])],
    "an image": [ModelRequest(parts=[UserPromptPart([BinaryContent(b"\x89PNG", media_type="image/png")])])],
    "a tool that was called": [ASKED, CALLED, RETURNED],
    "a tool that is to be called again": [
        ASKED,
        CALLED,
        ModelRequest(parts=[ToolReturnPart("find", "no such page", "t1", outcome="retried")]),
    ],
    "thoughts": [ASKED, ModelResponse(parts=[ThinkingPart("hm"), TextPart("Yes.")]), ASKED],
    "a reply without text": [ASKED, ModelResponse(parts=[]), ASKED],
    "a long history": [ASKED, ModelResponse(parts=[TextPart("Yes.")]), ASKED, CALLED, RETURNED] * 10,
}
SETTINGS: dict[str, ModelSettings | None] = {
    "none": None,
    "sampling": ModelSettings(max_tokens=9, temperature=0.0, top_p=1.0, seed=0, stop_sequences=["\n"]),
    "penalties": ModelSettings(presence_penalty=0.5, frequency_penalty=-0.5, logit_bias={"50256": -100}),
    "both caps": ModelSettings(max_tokens=9, extra_body={"max_tokens": 9}),
    "headers": ModelSettings(extra_headers={"traceparent": "00-1-2-01"}, timeout=3.5),
    "one tool at a time": ModelSettings(parallel_tool_calls=False),
}
SCHEMA = {"type": "object", "properties": {"query": {"type": "string", "default": None}}, "required": ["query"]}
FIND = ToolDefinition(name="find", description="Find it.", parameters_json_schema=SCHEMA)
PARAMETERS = {
    "text": ModelRequestParameters(),
    "tools": ModelRequestParameters(
        function_tools=[FIND, ToolDefinition(name="stop", parameters_json_schema={"type": "object"}, strict=True)]
    ),
    "an output tool": ModelRequestParameters(
        function_tools=[FIND], output_tools=[dataclasses.replace(FIND, name="answer")], allow_text_output=False
    ),
    "a schema": ModelRequestParameters(
        output_mode="native", output_object=OutputObjectDefinition(json_schema=SCHEMA, name="answer")
    ),
}
MESSAGE = {"role": "assistant", "content": "Yes."}
CALL = {"id": "t1", "type": "function", "function": {"name": "find", "arguments": '{"query": "ü"}'}}
COMPLETION = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt", "usage": None}


def completion(message: Any, finish_reason: Any = "stop", **more: Any) -> dict[str, Any]:
    """Return a reply of the vendor."""
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason}]
    return COMPLETION | {"choices": choices} | more


USAGE = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
DETAILS = {"prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 1}}
LOGPROBS: dict[str, Any] = {
    "content": [{"token": "Yes", "logprob": -0.1, "bytes": None, "top_logprobs": []}],
    "refusal": None,
}
PARTS = [{"type": "text", "text": "Ye"}, "s", {"type": "reference", "reference_ids": [1]}]
COMPLETIONS: dict[str, Any] = {
    "a text": completion(MESSAGE),
    "every script": completion(MESSAGE | {"content": '退货 "ok" \\ \u2028 \U0001f600 \x00'}),
    "half a surrogate pair": completion(MESSAGE | {"content": "\ud800"}),
    "a long text": completion(MESSAGE | {"content": "Yes. " * 10_000}),
    "a call of a tool": completion(MESSAGE | {"content": None, "tool_calls": [CALL]}, "tool_calls"),
    "two calls and a text": completion(MESSAGE | {"tool_calls": [CALL, CALL | {"id": "t2"}]}, "tool_calls"),
    "a call without id": completion(MESSAGE | {"tool_calls": [CALL | {"id": None}]}, "tool_calls"),
    "a call without arguments": completion(MESSAGE | {"tool_calls": [CALL | {"function": {"name": "find"}}]}),
    "arguments that are no text": completion(
        MESSAGE | {"tool_calls": [CALL | {"function": {"name": "find", "arguments": {"query": 1}}}]}
    ),
    "a call with a signature": completion(MESSAGE | {"tool_calls": [CALL | {"extra_content": {"a": "b"}}]}),
    "a call of another kind": completion(MESSAGE | {"tool_calls": [CALL | {"type": "other"}]}),
    "a custom tool": completion(
        MESSAGE | {"tool_calls": [{"id": "t1", "type": "custom", "custom": {"name": "find", "input": "ü"}}]}
    ),
    "an empty list of calls": completion(MESSAGE | {"tool_calls": []}),
    "a refusal": completion(MESSAGE | {"content": None, "refusal": "No."}),
    "thoughts": completion(MESSAGE | {"reasoning_content": "hm"}),
    "thoughts under another name": completion(MESSAGE | {"reasoning": "hm"}),
    "nothing": completion(MESSAGE | {"content": None}),
    "an empty text": completion(MESSAGE | {"content": ""}),
    "a text in parts": completion(MESSAGE | {"content": PARTS}),
    "a number as text": completion(MESSAGE | {"content": 7}),
    "annotations": completion(MESSAGE | {"annotations": [{"type": "url_citation"}]}),
    "a cut reply": completion(MESSAGE, "length"),
    "a filtered reply": completion(MESSAGE, "content_filter"),
    "an unknown reason": completion(MESSAGE, "whatever"),
    "an empty reason": completion(MESSAGE, ""),
    "no reason": completion(MESSAGE, None),
    "usage": completion(MESSAGE, usage=USAGE),
    "usage in detail": completion(MESSAGE, usage=USAGE | DETAILS),
    "usage with unknown counts": completion(MESSAGE, usage=USAGE | {"images": 2, "details": {"a": 1}}),
    "usage without a count": completion(MESSAGE, usage={"prompt_tokens": 4}),
    "usage as a text": completion(MESSAGE, usage={"prompt_tokens": "4", "completion_tokens": "two"}),
    "usage with fractions": completion(MESSAGE, usage=USAGE | {"prompt_tokens": 4.5}),
    "usage out of any range": completion(MESSAGE, usage=USAGE | {"prompt_tokens": 2**64}),
    "usage below zero": completion(MESSAGE, usage=USAGE | {"completion_tokens": -1}),
    "log probabilities": completion(MESSAGE) | {},
    "unknown fields": completion(MESSAGE | {"new": [1]}, newer={"a": None}),
    "a service tier": completion(MESSAGE, service_tier="on_demand"),
    "metadata": completion(MESSAGE, metadata={"a": [1]}),
    "a fingerprint": completion(MESSAGE, system_fingerprint="fp"),
    "no time": completion(MESSAGE, created=None),
    "the time as a text": completion(MESSAGE, created="1"),
    "the time with a fraction": completion(MESSAGE, created=1.5),
    "no id": completion(MESSAGE, id=None),
    "an empty id": completion(MESSAGE, id=""),
    "no model": completion(MESSAGE, model=None),
    "another object": completion(MESSAGE, object="text_completion"),
    "a role that is none": completion(MESSAGE | {"role": "bot"}),
    "a choice without message": completion(None),
    "two choices": completion(MESSAGE) | {},
    "no choices": COMPLETION | {"choices": []},
    "choices that are null": COMPLETION | {"choices": None},
    "choices of a wrong type": COMPLETION | {"choices": "no"},
    "a choice of a wrong type": COMPLETION | {"choices": ["no"]},
    "an error with 200": {"error": {"message": "no", "code": 503}},
    "an empty object": {},
    "a list": [COMPLETION],
    "a number": 7,
    "a text alone": "Yes.",
    "null": None,
    "true": True,
}
COMPLETIONS["log probabilities"]["choices"][0]["logprobs"] = LOGPROBS
COMPLETIONS["two choices"]["choices"] *= 2
CONTENT_TYPES: dict[str, dict[str, str]] = {
    "JSON": {"content-type": "application/json"},
    "JSON with a charset": {"content-type": "application/json; charset=utf-8", "x-request-id": "r1"},
    "JSON called text": {"content-type": "text/plain; charset=utf-8", "set-cookie": "a=b; path=/"},
    "JSON of no type": {},
}
REPLIES: dict[str, Callable[[], httpx2.Response]] = {
    f"{name}, {kind}": partial(httpx2.Response, 200, headers=headers, content=json.dumps(content).encode())
    for (name, content), (kind, headers) in product(COMPLETIONS.items(), CONTENT_TYPES.items())
}
WHOLE = json.dumps(COMPLETIONS["usage"]).encode()
UNREADABLE: dict[str, bytes] = {
    "no body": b"",
    "only white space": b" \n\n ",
    "a page": b"<html>busy</html>",
    "bytes that are no text": b"\xff\xfe\x00",
    "UTF-16": json.dumps(COMPLETIONS["a text"]).encode("utf-16"),
    "a mark before the JSON": b"\xef\xbb\xbf" + WHOLE,
    "white space before the JSON": b"\n\n" + WHOLE,
    "something after the JSON": WHOLE + b" {}",
    "lines of a stream": b"data: " + WHOLE + b"\n\ndata: [DONE]\n\n",
    "NaN": WHOLE.replace(b"6", b"NaN"),
    "deep JSON": b"[" * 100_000,
    **{f"JSON cut after {part} %": WHOLE[: len(WHOLE) * part // 100] for part in (1, 25, 50, 75, 99)},
}
for (name, content), (kind, headers) in product(UNREADABLE.items(), CONTENT_TYPES.items()):
    REPLIES[f"{name}, {kind}"] = partial(httpx2.Response, 200, headers=headers, content=content)
BODIES: dict[str, Any] = {
    "an error": {"json": {"error": {"message": "no", "type": "x", "code": "y", "param": None}}},
    "a text": {"text": "no"},
    "nothing": {},
    "a list": {"json": ["no"]},
    "a time to wait": {"json": {"error": "no"}, "headers": {"retry-after": "7"}},
}
STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
for status, (kind, body) in product(STATUSES, BODIES.items()):
    REPLIES[f"{status} with {kind}"] = partial(httpx2.Response, status, **body)
for status in (201, 202, 204, 206, 300, 304):
    REPLIES[f"status {status}"] = partial(httpx2.Response, status, json=COMPLETIONS["a text"])
CODES = ("model_not_found", "insufficient_quota", "context_length_exceeded", "content_filter", "rate_limit_exceeded")
for status, code in product((400, 403, 404, 429), CODES):
    error = {"message": f"no: {code}", "type": code, "code": code, "param": "model"}
    REPLIES[f"{status}, {code}"] = partial(httpx2.Response, status, json={"error": error})
BROKEN: dict[str, Exception] = {
    type(error).__name__: error
    for error in (
        httpx2.ConnectTimeout("slow"),
        httpx2.ReadTimeout(""),
        httpx2.WriteTimeout("slow"),
        httpx2.PoolTimeout("full"),
        httpx2.ConnectError("[Errno 111] refused"),
        httpx2.ReadError("reset by peer"),
        httpx2.WriteError("broken pipe"),
        httpx2.CloseError("closed"),
        httpx2.RemoteProtocolError("peer closed connection without sending complete message body"),
        httpx2.LocalProtocolError("illegal header"),
        httpx2.ProxyError("502"),
        httpx2.UnsupportedProtocol("ftp"),
        httpx2.DecodingError("not gzip"),
        httpx2.TooManyRedirects("20"),
        ssl.SSLError(1, "wrong version"),
        anyio.EndOfStream(),
        RuntimeError("the client has been closed"),
        OSError("no route"),
    )
}


def broken(error: Exception) -> httpx2.Response:
    """Fail as a connection does."""
    raise error


for name, error in BROKEN.items():
    REPLIES[name] = partial(broken, error)


def both(config: ModelConfig, handler: Handler) -> tuple[OpenAIChatModel, Any]:
    """Return pydantic-ai's model with an SDK as it comes, and ours."""

    def client() -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(handler), timeout=9)

    sdk = AsyncOpenAI(api_key="k", base_url=URL, http_client=client(), timeout=9, max_retries=0)
    reference = OpenAIChatModel(config.model, provider=OpenAIProvider(openai_client=sdk))
    return reference, MODEL_FACTORIES["openai"](config, "k", URL, client())


async def outcome(model: Any, *request: Any) -> Any:
    """Return what a model makes of a request: its reply without the time, or its error."""
    try:
        response = await model.request(*request)
    except Exception as error:  # noqa: BLE001 - whatever it is, both have to raise it
        facts = {name: value for name, value in vars(error).items() if name not in {"headers", "__notes__"}}
        return type(error), str(error), facts, type(error.__cause__)
    return {key: value for key, value in dataclasses.asdict(response).items() if key != "timestamp"}


@pytest.fixture
def config() -> ModelConfig:
    """Return a model of OpenAI's."""
    return ModelConfig.model_construct(provider="openai", model="gpt", output_cap_parameter="max_completion_tokens")


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
async def test_the_same_is_sent(
    config: ModelConfig,
    conversation: list[ModelMessage],
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
) -> None:
    """Neither a part, nor a setting, nor a tool is lost or written otherwise, and all headers are the same."""
    sent: list[tuple[Any, str, dict[str, str]]] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if "idempotency" not in name}
        sent.append((json.loads(request.content), str(request.url), headers))
        return REPLIES["a text, JSON"]()

    reference, ours = both(config, keep)
    assert await outcome(ours, conversation, settings, parameters) == await outcome(
        reference, conversation, settings, parameters
    )

    assert sent[0] == sent[1]
    assert sent[0][0]["messages"]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_the_same_is_made_of_a_reply(config: ModelConfig, reply: Callable[[], httpx2.Response]) -> None:
    """A reply gives the same parts and usage; an error has the same type, text, status and category."""
    sent: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return reply()

    reference, ours = both(config, handle)

    for settings in (None, cast("ModelSettings", {"openai_include_unmapped_response_data": True})):
        request = [ASKED], settings, PARAMETERS["tools"]
        assert await outcome(ours, *request) == await outcome(reference, *request)
    assert len(sent) == 4


def test_hundreds_of_replies_are_compared() -> None:
    """Replies that can be used, replies that cannot, refused requests, and connections that break."""
    assert len(REPLIES) > 400


@pytest.mark.parametrize(
    ("settings", "sent_by_sdk"), [(SETTINGS["sampling"], 0), (SETTINGS["headers"], 1), (SETTINGS["both caps"], 0)]
)
async def test_the_sdk_sends_what_is_no_plain_request(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch, settings: ModelSettings, sent_by_sdk: int
) -> None:
    """A request with a timeout of its own goes through the SDK, which is given nothing to convert but the model."""
    converted: list[dict[str, Any]] = []

    async def transform(body: dict[str, Any], _: Any) -> dict[str, Any]:  # as the SDK's own, without its conversions
        converted.append({name: value for name, value in body.items() if not isinstance(value, Omit) and value != ()})
        return body

    monkeypatch.setattr("openai.resources.chat.completions.completions.async_maybe_transform", transform)
    _, ours = both(config, lambda _: REPLIES["a text, JSON"]())

    await outcome(ours, CONVERSATIONS["a long history"], settings, PARAMETERS["tools"])

    assert converted == [{"model": "gpt", "stream": False}] * sent_by_sdk


async def test_a_stream_goes_through_the_sdk(config: ModelConfig) -> None:
    """It is given the same pieces as pydantic-ai alone."""
    delta: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}
    delta["choices"] = [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}]
    content = f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n"
    texts: list[str] = []

    for model in both(
        config, lambda _: httpx2.Response(200, text=content, headers={"content-type": "text/event-stream"})
    ):
        async with model.request_stream([ASKED], None, PARAMETERS["text"]) as stream:
            async for _ in stream:
                pass
        texts.append(str(stream.get().text))

    assert texts == ["Yes.", "Yes."]


@pytest.mark.parametrize(
    "missing",
    ["openai._models.construct_type", "openai._base_client.BaseClient._make_status_error_from_response"],
)
async def test_a_changed_sdk_sends_every_request(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Without a private name that the direct way needs, the service works all the same, and says so."""
    monkeypatch.delitem(sys.modules, "chassis.guard.chat_completions", raising=False)
    monkeypatch.delattr(missing)

    with capture_logs() as logs:
        reference, ours = both(config, lambda _: REPLIES["a text, JSON"]())

    assert [line["event"] for line in logs] == ["openai.direct_requests_off"]
    assert missing.rpartition(".")[2] in logs[0]["reason"]
    asked = [ASKED], None, PARAMETERS["text"]
    assert await outcome(ours, *asked) == await outcome(reference, *asked)
