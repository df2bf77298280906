"""The steps of one model request, each on its own."""

import asyncio
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from pydantic import SecretStr
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.usage import RequestUsage
from sample_task import TASK, Question
from scenario import walk
from telemetry_sinks import Lines

from chassis.config.constraints import ModelConfig
from chassis.config.settings import Settings
from chassis.errors import ConfigError, InputNotAllowed
from chassis.guard import circuit_breaker as breaker
from chassis.guard.circuit_breaker import CircuitBreaker
from chassis.guard.failures import CircuitOpen, EmptyReply, RefusedReply, TruncatedReply, UnusableReply
from chassis.guard.model import GuardedModel
from chassis.guard.reply_check import check_reply
from chassis.guard.request import Request
from chassis.guard.vendors import connect
from chassis.money.prices import find_price
from chassis.telemetry.instruments import NO_INSTRUMENTS
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.wiring import Wiring


@pytest.mark.parametrize(
    "text", ["你好，世界。" * 50, '{"a": [1, 2, {"b": "0x3f"}]}' * 30, "🙂🙃" * 100, "plain words " * 50]
)
def test_no_tokenizer_reads_more_tokens_than_the_bound(text: str) -> None:
    """A byte-level tokenizer spends at least a byte a token, whatever the script."""
    messages: list[ModelMessage] = [ModelRequest([UserPromptPart(text)])]

    bound = Request(messages, None, ModelRequestParameters()).max_input_tokens

    assert bound > len(text.encode())


def test_the_same_request_has_the_same_bytes_whenever_it_is_sent() -> None:
    """Times do not tell requests apart; words, settings and tools do."""

    def sent(text: str, temperature: float = 0, *, allow_text_output: bool = True) -> bytes:
        parameters = ModelRequestParameters(allow_text_output=allow_text_output)
        return Request([ModelRequest([UserPromptPart(text)])], {"temperature": temperature}, parameters).canonical

    first = sent("hello")
    time.sleep(0.001)

    assert sent("hello") == first
    assert sent("hullo") != first
    assert sent("hello", temperature=1) != first
    assert sent("hello", allow_text_output=False) != first


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        (ModelResponse([]), EmptyReply),
        (ModelResponse([TextPart("  ")]), EmptyReply),
        (ModelResponse([TextPart("and then")], finish_reason="length"), TruncatedReply),
        (ModelResponse([TextPart("I can")], finish_reason="content_filter"), RefusedReply),
    ],
)
def test_a_reply_that_cannot_be_used_is_a_failure(response: ModelResponse, failure: type[UnusableReply]) -> None:
    """Silence, a cut-off reply and a refusal are never taken for answers."""
    with pytest.raises(failure):
        check_reply(link(), response)


def link(**changes: Any) -> ModelConfig:
    """Return the rules of a model, some of them changed."""
    rules = {"name": "m", "provider": "openai", "model": "gpt-5.5", "destination": "d", "max_output_tokens": 10}
    return ModelConfig.model_validate({**rules, **changes})


def test_prices_come_from_the_list_or_from_the_constraints() -> None:
    """A listed model has its dated price; a price in the constraints wins, 0 included."""
    usage = RequestUsage(input_tokens=1_000_000, output_tokens=0)

    assert find_price(link())(usage) > 0
    assert find_price(link(input_usd_per_million=2, output_usd_per_million=3))(usage) == 2_000_000_000
    assert find_price(link(provider="local", input_usd_per_million=0, output_usd_per_million=0))(usage) == 0


@pytest.mark.parametrize(
    ("served", "priced_as"),
    [("gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"), ("gpt-5.4", "gpt-5.4"), ("a-name-of-the-vendor", "gpt-5.4-mini")],
)
@pytest.mark.parametrize("cached", [0, 400_000])
def test_the_model_that_served_is_charged_for(served: str, priced_as: str, cached: int) -> None:
    """A vendor may answer with another model than the one asked, and bills for that."""
    usage = RequestUsage(input_tokens=1_000_000, output_tokens=0, cache_read_tokens=cached)

    charged = find_price(link(model="gpt-5.4-mini"))(usage, served)

    assert charged == find_price(link(model=priced_as))(usage)


class Substitute(ScriptedModel):
    """A model whose vendor lets another one answer, and says so."""

    async def request(self, *asked: Any, **named: Any) -> ModelResponse:
        """Reply in the other one's name."""
        return replace(
            await super().request(*asked, **named), model_name="gpt-5.4", usage=RequestUsage(input_tokens=10**6)
        )


def test_a_dearer_model_than_the_one_held_for_is_charged_and_told(tmp_path: Path, lines: Lines) -> None:
    """Nobody can hold for what a vendor does unasked, but the ledger says what it cost, and the log who did it."""

    async def story(wiring: Wiring) -> int:
        await wiring.service.answer(Question(text="2 + 2?"), wiring.service.new_call("alice"))
        return (await wiring.ledger.balances())[0].spent

    models = [link(name="first", destination="vendor", model="gpt-5.4-mini").model_dump()]
    spent = walk(tmp_path, [Substitute("Four.")], story, models=models)

    assert spent == find_price(link(model="gpt-5.4"))(RequestUsage(input_tokens=10**6))
    assert [(line["model"], line["served"]) for line in lines.named("reservation.exceeded")] == [("first", "gpt-5.4")]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_every_listed_model_costs_what_the_list_says(provider: str) -> None:
    """Below and above every tier, and with cached tokens: the short way to a price leads to the same amount."""
    usages = [
        RequestUsage(input_tokens=1, output_tokens=1),
        RequestUsage(input_tokens=9_000, output_tokens=900, output_reasoning_tokens=300),
        RequestUsage(input_tokens=9_000, output_tokens=900, cache_read_tokens=8_000),
        RequestUsage(input_tokens=300_000, output_tokens=900),
    ]
    models = next(known.models for known in get_snapshot().providers if known.id == provider)
    listed = [model.id for model in models if not model.id.startswith("ft:")]

    def nano_usd(usage: RequestUsage, model: str) -> int:
        return math.ceil(calc_price(usage, model, provider_id=provider).total_price * 10**9)

    assert len(listed) > 10
    for model in listed:
        price = find_price(link(provider=provider, model=model))
        assert [price(usage) for usage in usages] == [nano_usd(usage, model) for usage in usages]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_the_worst_case_bears_whatever_a_vendor_keeps_in_a_cache(provider: str) -> None:
    """Read from a cache, written into it for minutes, or neither; below and above every tier; with reasoning."""
    models = next(known.models for known in get_snapshot().providers if known.id == provider)
    for model in (model.id for model in models if not model.id.startswith("ft:")):
        price = find_price(link(provider=provider, model=model))
        for read in (9_000, 300_000):
            usages = [
                RequestUsage(input_tokens=read, output_tokens=900, output_reasoning_tokens=800),
                RequestUsage(input_tokens=read, output_tokens=900, cache_read_tokens=read),
                RequestUsage(input_tokens=read, output_tokens=900, cache_write_tokens=read),
            ]
            assert price.worst_case(read, 900) >= max(price(usage) for usage in usages), model


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("extra_body", {"max_completion_tokens": 100_000}),
        ("max_retries", 5),
        ("service_tier", "priority"),
        ("openai_service_tier", "priority"),
        ("anthropic_speed", "fast"),
        ("google_cached_content", "cachedContents/1"),
        ("cache", "1h"),
        ("cache", {"retention": "12h"}),
        ("anthropic_cache_instructions", "1h"),
    ],
)
def test_a_setting_that_no_budget_can_hold_is_refused(tmp_path: Path, setting: str, value: Any) -> None:
    """A task cannot lift the cap, the price of a token or the number of attempts behind the guards' back."""
    model = ScriptedModel("Four.")

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, model) as wiring:
            assert wiring.service.guard is not None
            guarded = GuardedModel(wiring.service.guard, wiring.service.new_call("alice"))
            with pytest.raises(ConfigError, match=f"{setting}.*changes the cost of a request"):
                await Agent(guarded).run("2 + 2?", model_settings=cast("Any", {setting: value}))

    asyncio.run(story())
    assert model.requests == []


def test_harmless_settings_are_sent(tmp_path: Path) -> None:
    """What costs no more than is held passes: short caches, plain tiers, and none at all."""
    harmless: Any = {"cache": "5m", "service_tier": "flex", "max_retries": 0, "extra_body": None, "temperature": 0}

    async def story() -> str:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("Four.")) as wiring:
            assert wiring.service.guard is not None
            guarded = GuardedModel(wiring.service.guard, wiring.service.new_call("alice"))
            return (await Agent(guarded).run("2 + 2?", model_settings=harmless)).output

    assert asyncio.run(story()) == "Four."


def test_a_model_without_a_price_stops_the_start() -> None:
    """An unknown price is never taken for zero."""
    with pytest.raises(ConfigError, match="genai-prices knows no price for openai:gpt-nonsense"):
        find_price(link(model="gpt-nonsense"))


def test_a_breaker_opens_rests_and_lets_one_probe_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five failures nothing passes; after the rest exactly one request does, and its success closes it."""
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.05)
    guarded = CircuitBreaker("first", NO_INSTRUMENTS)
    for _ in range(5):
        guarded.check()
        guarded.enter()
        guarded.record_failure()
    with pytest.raises(CircuitOpen):
        guarded.check()

    time.sleep(0.06)
    guarded.check()
    guarded.enter()
    with pytest.raises(CircuitOpen):
        guarded.check()
    guarded.record_success()

    guarded.check()


@pytest.mark.parametrize("provider", ["openai", "openai-compatible", "local", "anthropic", "google"])
def test_vendor_clients_never_retry_and_give_up_in_time(provider: str) -> None:
    """Retries belong to the chain alone, and no SDK waits for its ten-minute default."""
    pytest.importorskip({"google": "google.genai"}.get(provider, provider if provider == "anthropic" else "openai"))
    key = SecretStr("key")
    settings = Settings(
        openai_api_key=key,
        openai_compatible_api_key=key,
        anthropic_api_key=key,
        gemini_api_key=key,
        local_model_url="http://127.0.0.1:1/v1",
    )
    base_url = "http://127.0.0.1:1/v1" if provider == "openai-compatible" else None

    model = connect(link(provider=provider, base_url=base_url), settings, timeout=7)

    client: Any = getattr(model, "client")  # noqa: B009 - each vendor's model has one, their base class does not say so
    if provider == "google":
        options = client._api_client._http_options  # noqa: SLF001 - google-genai shows them nowhere else
        assert (options.retry_options.attempts, options.timeout) == (1, 7000)
    else:
        assert (client.max_retries, client.timeout) == (0, 7)


def test_an_empty_key_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CI without the secret sets the variable to nothing; that must not stop the start."""
    monkeypatch.setenv("OPENAI_API_KEY", "")

    assert Settings().openai_api_key is None


def test_without_its_key_a_vendor_is_not_connected() -> None:
    """No key, no client, no error: the chain goes on without it."""
    assert connect(link(), Settings(openai_api_key=None), timeout=7) is None


def test_streams_take_the_same_walk(tmp_path: Path) -> None:
    """An agent that streams through the guarded model is charged like any other."""

    async def story() -> tuple[str, int]:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("Four.")) as wiring:
            assert wiring.service.guard is not None
            call = wiring.service.new_call("alice")
            async with Agent(GuardedModel(wiring.service.guard, call)).run_stream(Question(text="2+2").text) as stream:
                return await stream.get_output(), call.cost

    assert asyncio.run(story()) == ("Four.", 600_000)


def test_the_models_behind_a_guarded_model_cannot_be_asked_alone(tmp_path: Path) -> None:
    """Whoever reaches for one of the chain's models meets a mistake in code, and nothing is sent."""
    vendor = ScriptedModel("Four.")

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, vendor) as wiring:
            assert wiring.service.guard is not None
            [listed] = GuardedModel(wiring.service.guard, wiring.service.new_call("alice")).models
            with pytest.raises(TypeError, match="cannot be asked directly"):
                await Agent(listed).run("2 + 2?")
            with pytest.raises(TypeError, match="cannot be asked directly"):
                async with Agent(listed).run_stream("2 + 2?"):
                    pass

    asyncio.run(story())
    assert vendor.requests == []


def test_a_tool_that_the_vendor_runs_has_no_bound() -> None:
    """What a search finds is read and paid for, and nobody knows beforehand how much it is."""
    searching = ModelRequestParameters(native_tools=[WebSearchTool()])

    with pytest.raises(InputNotAllowed, match="reading what the tool web_search finds has no upper bound"):
        _ = Request([], None, searching).max_input_tokens


def test_words_about_attachments_are_words() -> None:
    """A text that quotes how an attachment is written is none."""
    messages: list[ModelMessage] = [ModelRequest([UserPromptPart('{"kind": "image-url"}')])]

    assert Request(messages, None, ModelRequestParameters()).max_input_tokens > 0
