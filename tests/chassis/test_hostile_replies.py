"""Replies are hostile input: none of them raises an error, costs nothing, or costs more than was reserved for it.

The table of faults has many of them. Here are those that need another SDK, other settings, or no reply at all.
"""

import json
import socket
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chassis import Answered, Draft, Task
from chassis.config.constraints import ModelConfig, Provider
from chassis.guard import circuit_breaker
from chassis.guard.egress import Endpoint, VendorModel, create_client
from chassis.guard.reply_check import max_reply_bytes
from chassis.guard.vendors import MODEL_FACTORIES
from chassis.money.ledger import Balance, SqliteStatements
from chassis.testing import CONSTRAINTS, ScriptedModel
from chassis.wiring import Wiring
from prometheus_client.parser import text_string_to_metric_families
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    ModelResponse,
    ModelResponsePart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models import Model
from pydantic_ai.usage import RequestUsage
from recording_vendor import Answer as HttpAnswer
from recording_vendor import chat_reply, recording, repeating, saying
from sample_task import Answer, Question, shout
from scenario import run_scenario
from telemetry_sinks import Lines

pytestmark = pytest.mark.usefixtures("lines", "real_requests")

USED = RequestUsage(input_tokens=10, output_tokens=5)
UNPRICED: dict[str, Any] = {"input_usd_per_million": None, "output_usd_per_million": None}
MAX_METRICS_BYTES = 200_000
TOOLS = {"look_up": {"destination": "vendor", "side_effects": False}}
DEEP = '{"word": ' + "[" * 190 + "]" * 190 + "}"
"""Nearly as deep as a parser allows."""


async def ask_with_tool(question: Question, model: Model) -> Draft[Answer]:
    """Answer with a tool."""
    agent = Agent(model)

    @agent.tool_plain
    def look_up(word: str) -> str:
        return f"{word}: see elsewhere"

    return Draft(Answer(text=(await agent.run(question.text)).output), confidence=0.9)


WITH_TOOL = Task(name="echo", takes=Question, gives=Answer, run=ask_with_tool, baseline=shout)


def unchecked(value: Any) -> Any:
    """Return a value of a type that no type checker would accept, as an SDK may."""
    return value


async def ask(wiring: Wiring, text: str = "2 + 2?") -> tuple[str, Balance]:
    """Ask, and return who answered and the balance of the month."""
    outcome = await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))
    assert isinstance(outcome, Answered)
    return outcome.answered_by, (await wiring.ledger.balances())[-1]


def connected(url: str, provider: Provider = "openai-compatible", key: str = "key", **changes: Any) -> VendorModel:
    """Return a model at this address, with a key that no setting would accept."""
    fields = CONSTRAINTS["models"][0] | {"provider": provider} | changes
    if provider == "openai-compatible":
        fields["base_url"] = url
    config = ModelConfig.model_validate(fields)
    client = create_client(Endpoint.from_url(url, "any"), 5, max_reply_bytes(config))
    return VendorModel(MODEL_FACTORIES[provider](config, key, url, client), client)


class Serving(ScriptedModel):
    """A model whose replies keep the name of the model that they give."""

    async def request(self, *asked: Any, **named: Any) -> ModelResponse:
        """Reply."""
        reply = self._replies[0]
        served = reply.model_name if isinstance(reply, ModelResponse) else None
        return replace(await super().request(*asked, **named), model_name=served)


# What an SDK hands over


@pytest.mark.parametrize(
    "part",
    [
        TextPart(unchecked(None)),  # how Anthropic's SDK reads a block that it does not know
        TextPart("half a pair \ud83d"),
        ThinkingPart("half a pair \ud83d"),
        TextPart("fine", provider_details={"id": "\ud83d"}),
        ToolCallPart("look_up", {"word": "\ud83d"}),
        ToolCallPart("look_up", {"\udc00": "four"}),
        ToolCallPart("look_up", {"word": object()}),
        ToolCallPart(unchecked(7), {}),
        FilePart(BinaryContent(b"x", media_type="image/png")),
        NativeToolReturnPart("web_search", "found", tool_call_id="t1"),
    ],
    ids=lambda part: type(part).__name__,
)
@pytest.mark.parametrize("redact", [[], ["email", "secret"]], ids=["as it is", "redacted"])
def test_a_part_that_is_not_well_formed_is_a_failure(
    tmp_path: Path, lines: Lines, part: ModelResponsePart, redact: list[str]
) -> None:
    """The next model answers, and the reply is paid for."""
    broken = ScriptedModel(ModelResponse([part, TextPart("and more")], usage=USED, finish_reason="stop"))
    destinations = {"vendor": {"classes": ["internal"], "redact": redact}}

    answered_by, month = run_scenario(
        tmp_path, [broken, ScriptedModel("Four.")], ask, WITH_TOOL, destinations=destinations, tools=TOOLS
    )

    assert answered_by == "second"
    assert [line["error"] for line in lines.named("model.failed")] == ["UnreadableReply"]
    assert month.reserved == 0
    assert month.spent >= 2 * 600_000


@pytest.mark.parametrize(
    ("arguments", "answered_by"),
    [
        ('{"word": ', "first"),
        ('{"word": "four"', "first"),
        (DEEP, "first"),
        ('{"word": NaN}', "first"),
        ("[" * 150, "first"),
        ('{"word": ' + "1" * 4301 + "}", "second"),
        ('{"word": [-' + "1" * 4301, "second"),
        ("[" * 100_000, "second"),
        ('{"word": ' + "[" * 250 + "]" * 250 + "}", "second"),
        ('{"word": ' + '{"a": ' * 250 + "1" + "}" * 250 + "}", "second"),
        (r'{"word": "\udead"}', "second"),
        (r'{"\ud800\ud800": 1}', "second"),
    ],
)
def test_broken_arguments_are_for_the_agent_and_absurd_ones_a_failure(
    tmp_path: Path, arguments: str, answered_by: str
) -> None:
    """An agent tells the model what is wrong with its JSON; what no parser can read does not get as far as that."""
    usage = RequestUsage(input_tokens=10, output_tokens=100)
    first = ScriptedModel(ModelResponse([ToolCallPart("look_up", arguments)], usage=usage), "Four.")
    destinations = {"vendor": {"classes": ["internal"], "redact": ["email", "secret", "card"]}}

    answerer, month = run_scenario(
        tmp_path,
        [first, ScriptedModel("Four.")],
        ask,
        WITH_TOOL,
        destinations=destinations,
        tools=TOOLS,
        models=[model | {"max_output_tokens": 2000} for model in CONSTRAINTS["models"]],
    )

    assert (answerer, month.reserved) == (answered_by, 0)


# Every field of the replies of three vendors

REPLIES: dict[Provider, list[dict[str, Any]]] = {
    "openai": [
        chat_reply("Four."),
        chat_reply("")
        | {
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "tool_calls": [
                            {
                                "id": "t1",
                                "type": "function",
                                "function": {"name": "look_up", "arguments": '{"word": "four"}'},
                            }
                        ],
                    },
                }
            ]
        },
    ],
    "anthropic": [
        {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "model": "first",
            "content": [content],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0},
        }
        for content in (
            {"type": "text", "text": "Four."},
            {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"word": "four"}},
        )
    ],
    "google": [
        {
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
            "modelVersion": "first",
            "responseId": "r1",
        }
        for part in ({"text": "Four."}, {"functionCall": {"name": "look_up", "args": {"word": "four"}}})
    ],
}
HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**64 - 1, 10**400, 1.5, 1e308),
    *("", "mystery", "\ud83d", "x" * 20_000, "x" * 100_000),
    *([], [None], ["\ud83d"], {}, {"a": None}, {"\ud83d": 1}, json.loads("[" * 300 + "]" * 300)),
)


def keys_of(value: Any) -> list[Any]:
    """Return the keys of a dict or the indices of a list; none of another value."""
    match value:
        case dict():
            return list(unchecked(value))
        case list():
            return list(range(len(unchecked(value))))
        case _:
            return []


def with_one_hostile_value(reply: Any) -> Iterator[Any]:
    """Yield the reply again and again, each time with another value in place of one of its parts."""
    for key in keys_of(reply):
        for hostile in with_one_hostile_value(reply[key]):
            copy = deepcopy(reply)
            copy[key] = hostile
            yield copy
    yield from HOSTILE_VALUES


@pytest.mark.slow
@pytest.mark.parametrize("provider", REPLIES)
def test_no_value_of_a_reply_breaks_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider) -> None:
    """Whatever a field contains, each call is answered, and its requests cost something, but no more than reserved."""
    monkeypatch.setattr(circuit_breaker, "FAILURES_TO_OPEN", 10**9)
    hostile = [json.dumps(reply).encode() for good in REPLIES[provider] for reply in with_one_hostile_value(good)]
    next_reply: list[bytes] = []

    def answer(_: bytes) -> HttpAnswer:
        body = next_reply.pop() if next_reply else json.dumps(REPLIES[provider][0]).encode()
        return 200, {"Content-Type": "application/json"}, body

    async def story(wiring: Wiring) -> None:
        assert wiring.service.guard is not None
        [candidate], spent = wiring.service.guard.candidates, 0
        for reply in hostile:
            next_reply[:] = [reply]
            call = wiring.service.new_call("alice")
            outcome = await wiring.service.answer(Question(text="2 + 2?"), call)
            worst_case = sum(candidate.worst_case(turn.max_input_tokens) for turn in call.turns)
            month = (await wiring.ledger.balances())[-1]
            assert isinstance(outcome, Answered), reply[:200]
            assert (month.reserved, spent < month.spent <= spent + worst_case) == (0, True), reply[:200]
            spent = month.spent
        assert len(wiring.telemetry.metrics_page()[0]) < MAX_METRICS_BYTES

    rules = {"tools": TOOLS, "limits": {"retries_per_model": 0}, "cost": {"per_caller_day_usd": 100}}
    with recording(answer) as upstream:
        run_scenario(tmp_path, [connected(upstream.url, provider)], story, WITH_TOOL, **rules)


# The name of the model that served


@pytest.mark.parametrize(
    ("model", "served", "label"),
    [
        ({}, "first", "first"),
        ({}, "first-{number}", "other"),
        ({}, "x" * 10_000, "other"),
        ({}, "", "other"),
        ({}, None, None),
        ({"model": "gpt-5.4-mini"} | UNPRICED, "gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"),
        ({"model": "gpt-5.4-mini"} | UNPRICED, "GPT-5.4-Mini-2026-03-17", "gpt-5.4-mini"),
        ({"model": "gpt-5.4-mini"} | UNPRICED, "mystery-{number}", "other"),
    ],
)
def test_the_name_of_the_served_model_is_from_a_closed_set(
    tmp_path: Path, model: dict[str, Any], served: str | None, label: str | None
) -> None:
    """It is a label of metrics, so it is the name that was asked for, one of the catalog, or `other`."""
    replies = [
        ModelResponse([TextPart("Four.")], usage=USED, model_name=served and served.format(number=number))
        for number in range(3)
    ]

    async def story(wiring: Wiring) -> set[str | None]:
        for _ in replies:
            await ask(wiring)
        page = wiring.telemetry.metrics_page()[0].decode()
        return {
            sample.labels.get("gen_ai_response_model")
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name.startswith("gen_ai_client_token_usage")
        }

    models = [CONSTRAINTS["models"][0] | model]

    assert run_scenario(tmp_path, [Serving(*replies)], story, models=models) == {label}


# Requests that were never written


@pytest.mark.parametrize("key", ["key\n", "key\r\nX: y", "key – with a dash", "\ufeffkey", "\ud83d"])
def test_a_key_that_cannot_be_sent_costs_nothing(tmp_path: Path, key: str) -> None:
    """Nothing is written, so there is nothing to pay for; the next model answers."""
    with recording(repeating) as upstream:
        first = connected(upstream.url, key=key)
        answered_by, month = run_scenario(tmp_path, [first, ScriptedModel("Four.")], ask)

    assert (answered_by, month.spent, upstream.received) == ("second", 600_000, [])


@pytest.mark.parametrize("tunnel", [False, True], ids=["directly", "through a proxy"])
def test_a_connection_that_hangs_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines, *, tunnel: bool
) -> None:
    """While TLS is negotiated, or a proxy is waited for, no request has been written; a timeout changes nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        if tunnel:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        first = connected(f"https://{'vendor.example.com' if tunnel else address}/v1")
        deadline = {"deadline_seconds": 1, "p95_seconds": 1}
        answered_by, month = run_scenario(tmp_path, [first, ScriptedModel("Four.")], ask, latency=deadline)

    assert (answered_by, month.spent) == ("second", 600_000)
    assert [line["error"] for line in lines.named("model.failed")] == ["TimedOut"]


def test_a_proxy_that_refuses_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The headers that were written to it are not those of the request."""
    with recording(saying(200)) as proxy:  # it does not know CONNECT, and answers 501
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        first = connected("https://vendor.example.com/v1")
        answered_by, month = run_scenario(tmp_path, [first, ScriptedModel("Four.")], ask)

    assert (answered_by, month.spent) == ("second", 600_000)


# The output cap


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, {"max_tokens": 100, "max_completion_tokens": 100}),
        ({"output_cap_parameter": "max_tokens"}, {"max_tokens": 100}),
        ({"output_cap_parameter": "max_completion_tokens"}, {"max_completion_tokens": 100}),
        ({"provider": "openai"}, {"max_completion_tokens": 100}),
        ({"provider": "local"}, {"max_tokens": 100, "max_completion_tokens": 100}),
    ],
)
def test_the_output_cap_has_the_names_that_servers_know(
    tmp_path: Path, changes: dict[str, Any], sent: dict[str, int]
) -> None:
    """A server that does not know the one that it is sent would write, and charge, as much as it likes."""
    with recording(repeating) as upstream:
        model = connected(upstream.url, **changes)
        fields = CONSTRAINTS["models"][0] | {"provider": "openai-compatible", "base_url": upstream.url} | changes
        if fields["provider"] != "openai-compatible":
            del fields["base_url"]
        run_scenario(tmp_path, [model], ask, models=[fields])

    body = json.loads(upstream.received[0].partition(b"{")[2].join([b"{", b""]))
    assert {name: value for name, value in body.items() if name.startswith("max_")} == sent


# Settling


def test_an_answer_reaches_its_caller_whatever_happens_to_its_settlement(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reservation stays charged, and the log says why."""

    async def settle(*_: Any) -> None:
        raise OverflowError

    monkeypatch.setattr(SqliteStatements, "settle", settle)
    answered_by, month = run_scenario(tmp_path, [ScriptedModel("Four.")], ask)

    assert (answered_by, month.spent) == ("first", 0)
    assert month.reserved > 0
    assert [line["reason"] for line in lines.named("reservation.lost")] == ["OverflowError"]
