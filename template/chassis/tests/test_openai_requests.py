"""What OpenAI's SDK sends for us, against what it sends for pydantic-ai alone."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, Omit  # noqa: TID251 - the reference
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

from chassis.config.constraints import ModelConfig
from chassis.guard.vendors import MODEL_FACTORIES

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


def completion(message: Any, finish_reason: Any = "stop", **more: Any) -> httpx2.Response:
    """Return a reply of the vendor."""
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason}]
    return httpx2.Response(200, json=COMPLETION | {"choices": choices} | more)


REPLIES: dict[str, Callable[[], httpx2.Response]] = {
    "a text": lambda: completion(MESSAGE),
    "a call of a tool": lambda: completion(MESSAGE | {"content": None, "tool_calls": [CALL]}, "tool_calls"),
    "a refusal": lambda: completion(MESSAGE | {"content": None, "refusal": "No."}),
    "thoughts": lambda: completion(MESSAGE | {"reasoning_content": "hm"}),
    "nothing": lambda: completion(MESSAGE | {"content": None}),
    "a cut reply": lambda: completion(MESSAGE, "length"),
    "an unknown reason": lambda: completion(MESSAGE, "whatever"),
    "usage": lambda: completion(MESSAGE, usage={"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}),
    "unknown fields": lambda: completion(MESSAGE | {"new": [1]}, newer={"a": None}),
    "no choices": lambda: httpx2.Response(200, json=COMPLETION | {"choices": []}),
    "choices of a wrong type": lambda: httpx2.Response(200, json=COMPLETION | {"choices": "no"}),
    "a number": lambda: httpx2.Response(200, json=7),
    "null": lambda: httpx2.Response(200, json=None),
    "no JSON": lambda: httpx2.Response(200, text="<html>", headers={"content-type": "application/json"}),
    "a page": lambda: httpx2.Response(200, html="<html>busy</html>"),
    "no body": lambda: httpx2.Response(200),
}
BODIES: dict[str, Any] = {
    "an error": {"json": {"error": {"message": "no", "type": "x", "code": "y", "param": None}}},
    "a text": {"text": "no"},
    "nothing": {},
}
STATUSES = (400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529)
for status, (kind, body) in product(STATUSES, BODIES.items()):
    REPLIES[f"{status} with {kind}"] = partial(httpx2.Response, status, **body)


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
        return type(error), str(error), getattr(error, "status_code", None), type(error.__cause__)
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
        return REPLIES["a text"]()

    reference, ours = both(config, keep)
    assert await outcome(ours, conversation, settings, parameters) == await outcome(
        reference, conversation, settings, parameters
    )

    assert sent[0] == sent[1]
    assert sent[0][0]["messages"]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_the_same_is_made_of_a_reply(config: ModelConfig, reply: Callable[[], httpx2.Response]) -> None:
    """A reply gives the same parts and usage; an error has the same type, text and status."""
    replied: list[httpx2.Response] = []

    def handle(_: httpx2.Request) -> httpx2.Response:
        replied.append(reply())
        return replied[-1]

    reference, ours = both(config, handle)

    assert await outcome(ours, [ASKED], None, PARAMETERS["tools"]) == await outcome(
        reference, [ASKED], None, PARAMETERS["tools"]
    )
    assert len(replied) == 2


async def test_the_sdk_converts_nothing(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what makes long conversations slow to send: it is given the name of the model alone."""
    converted: list[dict[str, Any]] = []

    async def transform(body: dict[str, Any], _: Any) -> dict[str, Any]:  # as the SDK's own, without its conversions
        converted.append({name: value for name, value in body.items() if not isinstance(value, Omit) and value != ()})
        return body

    monkeypatch.setattr("openai.resources.chat.completions.completions.async_maybe_transform", transform)
    reference, ours = both(config, lambda _: REPLIES["a text"]())

    for model in (reference, ours):
        await outcome(model, CONVERSATIONS["a long history"], SETTINGS["sampling"], PARAMETERS["tools"])

    assert converted[0].keys() >= {"model", "messages", "tools", "max_completion_tokens", "temperature"}
    assert converted[1] == {"model": "gpt", "stream": False}
