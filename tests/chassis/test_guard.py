"""Single parts of the guard: bounds, checks, prices, the circuit breaker, vendors and the guarded model."""

import asyncio
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from chassis.config.constraints import ModelConfig
from chassis.config.project import Settings
from chassis.errors import ConfigError, InputNotAllowed
from chassis.guard import circuit_breaker
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
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from pydantic import SecretStr
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.usage import RequestUsage
from sample_task import TASK, Question
from scenario import run_scenario
from telemetry_sinks import Lines


@pytest.mark.parametrize(
    "text", ["你好，世界。" * 50, '{"a": [1, 2, {"b": "0x3f"}]}' * 30, "🙂🙃" * 100, "plain words " * 50]
)
def test_no_tokenizer_exceeds_the_bound(text: str) -> None:
    """A token covers at least one byte, whatever the script."""
    messages: list[ModelMessage] = [ModelRequest([UserPromptPart(text)])]

    bound = Request(messages, None, ModelRequestParameters()).max_input_tokens

    assert bound > len(text.encode())


def test_equal_requests_have_equal_bytes() -> None:
    """Timestamps make no difference; text, settings and parameters do."""

    def canonical(text: str, temperature: float = 0, *, allow_text_output: bool = True) -> bytes:
        parameters = ModelRequestParameters(allow_text_output=allow_text_output)
        return Request([ModelRequest([UserPromptPart(text)])], {"temperature": temperature}, parameters).canonical

    first = canonical("hello")
    time.sleep(0.001)

    assert canonical("hello") == first
    assert canonical("hullo") != first
    assert canonical("hello", temperature=1) != first
    assert canonical("hello", allow_text_output=False) != first


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        (ModelResponse([]), EmptyReply),
        (ModelResponse([TextPart("  ")]), EmptyReply),
        (ModelResponse([TextPart("and then")], finish_reason="length"), TruncatedReply),
        (ModelResponse([TextPart("I can")], finish_reason="content_filter"), RefusedReply),
    ],
)
def test_an_unusable_reply_is_a_failure(response: ModelResponse, failure: type[UnusableReply]) -> None:
    """An empty reply, a truncated one and a refusal are not answers."""
    with pytest.raises(failure):
        check_reply(model_config(), response)


def model_config(**changes: Any) -> ModelConfig:
    """Return the configuration of a model, with changes."""
    config = {"name": "m", "provider": "openai", "model": "gpt-5.5", "destination": "d", "max_output_tokens": 10}
    return ModelConfig.model_validate({**config, **changes})


def test_prices_come_from_the_catalog_or_from_the_constraints() -> None:
    """A price in the constraints takes precedence, even if it is 0."""
    usage = RequestUsage(input_tokens=1_000_000, output_tokens=0)

    assert find_price(model_config())(usage) > 0
    assert find_price(model_config(input_usd_per_million=2, output_usd_per_million=3))(usage) == 2_000_000_000
    assert find_price(model_config(provider="local", input_usd_per_million=0, output_usd_per_million=0))(usage) == 0


@pytest.mark.parametrize(
    ("served", "priced_as"),
    [("gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"), ("gpt-5.4", "gpt-5.4"), ("unknown-to-the-catalog", "gpt-5.4-mini")],
)
@pytest.mark.parametrize("cached", [0, 400_000])
def test_the_price_is_that_of_the_model_that_answered(served: str, priced_as: str, cached: int) -> None:
    """A vendor may use another model than the one that was asked, and charges for that one."""
    usage = RequestUsage(input_tokens=1_000_000, output_tokens=0, cache_read_tokens=cached)

    charged = find_price(model_config(model="gpt-5.4-mini"))(usage, served)

    assert charged == find_price(model_config(model=priced_as))(usage)


MUCH_USED = RequestUsage(input_tokens=800, output_tokens=100)
"""Most of what a request of the tests can use."""


class Substitute(ScriptedModel):
    """A model whose vendor answers with another one, and says so."""

    async def request(self, *asked: Any, **named: Any) -> ModelResponse:
        """Reply under the other model's name."""
        return replace(await super().request(*asked, **named), model_name="gpt-5.4", usage=MUCH_USED)


def test_a_dearer_substitute_is_charged_and_logged(tmp_path: Path, lines: Lines) -> None:
    """No reservation can cover it, but the ledger charges what it cost and the log names the model."""

    async def story(wiring: Wiring) -> int:
        await wiring.service.answer(Question(text="2 + 2?"), wiring.service.new_call("alice"))
        return (await wiring.ledger.balances())[0].spent

    models = [
        model_config(name="first", destination="vendor", model="gpt-5.4-nano", max_output_tokens=100).model_dump()
    ]
    spent = run_scenario(tmp_path, [Substitute("Four.")], story, models=models)

    assert spent == find_price(model_config(model="gpt-5.4"))(MUCH_USED)
    assert [(line["model"], line["served"]) for line in lines.named("reservation.exceeded")] == [("first", "gpt-5.4")]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_every_model_costs_what_the_catalog_says(provider: str) -> None:
    """The fast path gives the same price as genai-prices, below and above every tier and with cached tokens."""
    usages = [
        RequestUsage(input_tokens=1, output_tokens=1),
        RequestUsage(input_tokens=9_000, output_tokens=900, output_reasoning_tokens=300),
        RequestUsage(input_tokens=9_000, output_tokens=900, cache_read_tokens=8_000),
        RequestUsage(input_tokens=300_000, output_tokens=900),
    ]
    models = next(known.models for known in get_snapshot().providers if known.id == provider)
    ids = [model.id for model in models if not model.id.startswith("ft:")]

    def nano_usd(usage: RequestUsage, model: str) -> int:
        return math.ceil(calc_price(usage, model, provider_id=provider).total_price * 10**9)

    assert len(ids) > 10
    for model in ids:
        price = find_price(model_config(provider=provider, model=model))
        assert [price(usage) for usage in usages] == [nano_usd(usage, model) for usage in usages]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_the_worst_case_covers_prompt_caching(provider: str) -> None:
    """Tokens read from a cache, written into it, or neither; below and above every tier; with reasoning."""
    models = next(known.models for known in get_snapshot().providers if known.id == provider)
    for model in (model.id for model in models if not model.id.startswith("ft:")):
        price = find_price(model_config(provider=provider, model=model))
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
def test_settings_that_change_the_cost_are_rejected(tmp_path: Path, setting: str, value: Any) -> None:
    """A task cannot raise the output cap, the price of a token or the number of attempts past its reservation."""
    model = ScriptedModel("Four.")

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, model) as wiring:
            assert wiring.service.guard is not None
            guarded = GuardedModel(wiring.service.guard, wiring.service.new_call("alice"))
            with pytest.raises(ConfigError, match=f"{setting}.*changes the cost of a request"):
                await Agent(guarded).run("2 + 2?", model_settings=cast("Any", {setting: value}))

    asyncio.run(story())
    assert model.requests == []


def test_other_settings_are_sent(tmp_path: Path) -> None:
    """Settings that do not raise the cost pass: short prompt caches, standard tiers and empty values."""
    harmless: Any = {"cache": "5m", "service_tier": "flex", "max_retries": 0, "extra_body": None, "temperature": 0}

    async def story() -> str:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("Four.")) as wiring:
            assert wiring.service.guard is not None
            guarded = GuardedModel(wiring.service.guard, wiring.service.new_call("alice"))
            return (await Agent(guarded).run("2 + 2?", model_settings=harmless)).output

    assert asyncio.run(story()) == "Four."


def test_a_model_without_a_price_is_a_configuration_error() -> None:
    """An unknown price does not count as zero."""
    with pytest.raises(ConfigError, match="genai-prices knows no price for openai:gpt-nonsense"):
        find_price(model_config(model="gpt-nonsense"))


def test_a_circuit_breaker_opens_and_lets_one_probe_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five failures nothing passes. After a while a single request does, and its success closes the breaker."""
    monkeypatch.setattr(circuit_breaker, "OPEN_SECONDS", 0.05)
    breaker = CircuitBreaker("first", NO_INSTRUMENTS)
    for _ in range(5):
        breaker.check("alice")
        breaker.enter()
        breaker.record_failure("alice")
    with pytest.raises(CircuitOpen):
        breaker.check("alice")

    time.sleep(0.06)
    breaker.check("alice")
    breaker.enter()
    with pytest.raises(CircuitOpen):
        breaker.check("alice")
    breaker.record_success()

    breaker.check("alice")


@pytest.mark.parametrize("provider", ["openai", "openai-compatible", "local", "anthropic", "google"])
def test_vendor_clients_do_not_retry_and_have_a_timeout(provider: str) -> None:
    """Only `Retry` retries, and no SDK uses its default timeout of ten minutes."""
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

    model = connect(model_config(provider=provider, base_url=base_url), settings, timeout=7)

    client: Any = getattr(model, "client")  # noqa: B009 - every vendor's model has one, but their base class does not
    if provider == "google":
        options = client._api_client._http_options  # noqa: SLF001 - google-genai has no public access to them
        assert (options.retry_options.attempts, options.timeout) == (1, 7000)
    else:
        assert (client.max_retries, client.timeout) == (0, 7)


def test_an_empty_key_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CI system without the secret sets the variable to an empty text, which must not be an error."""
    monkeypatch.setenv("OPENAI_API_KEY", "")

    assert Settings().openai_api_key is None


def test_a_vendor_without_a_key_is_not_connected() -> None:
    """That is no error: the chain is built without it."""
    assert connect(model_config(), Settings(openai_api_key=None), timeout=7) is None


def test_streams_pass_the_pipeline_too(tmp_path: Path) -> None:
    """An agent that streams is charged like any other."""

    async def story() -> tuple[str, int]:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("Four.")) as wiring:
            assert wiring.service.guard is not None
            call = wiring.service.new_call("alice")
            async with Agent(GuardedModel(wiring.service.guard, call)).run_stream(Question(text="2+2").text) as stream:
                return await stream.get_output(), call.cost

    assert asyncio.run(story()) == ("Four.", 600_000)


def test_the_models_behind_a_guarded_model_cannot_be_asked_directly(tmp_path: Path) -> None:
    """Asking one of them is a mistake in code; nothing is sent."""
    vendor = ScriptedModel("Four.")

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, vendor) as wiring:
            assert wiring.service.guard is not None
            [inner] = GuardedModel(wiring.service.guard, wiring.service.new_call("alice")).models
            with pytest.raises(TypeError, match="cannot be asked directly"):
                await Agent(inner).run("2 + 2?")
            with pytest.raises(TypeError, match="cannot be asked directly"):
                async with Agent(inner).run_stream("2 + 2?"):
                    pass

    asyncio.run(story())
    assert vendor.requests == []


def test_a_request_with_a_vendor_tool_has_no_bound() -> None:
    """The model reads and charges for what a search finds, and how much that is cannot be known in advance."""
    searching = ModelRequestParameters(native_tools=[WebSearchTool()])

    with pytest.raises(InputNotAllowed, match="reading what the tool web_search finds has no upper bound"):
        _ = Request([], None, searching).max_input_tokens


def test_text_about_attachments_is_text() -> None:
    """A text that quotes the JSON of an attachment is not one."""
    messages: list[ModelMessage] = [ModelRequest([UserPromptPart('{"kind": "image-url"}')])]

    assert Request(messages, None, ModelRequestParameters()).max_input_tokens > 0
