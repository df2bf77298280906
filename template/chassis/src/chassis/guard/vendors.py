"""Connects the models in `constraints.toml` to their vendors. No other file creates a client of an SDK.

An SDK is imported only if a model needs it. Every client has an explicit timeout and no retries of its own, because
`Retry` decides what is sent again. Its HTTP client comes from `egress.py` and can reach the vendor's address only.
"""

import os
from collections.abc import Callable

import structlog
from httpx2 import AsyncClient, InvalidURL
from pydantic import SecretStr
from pydantic_ai.models import Model

from chassis.config.constraints import CONSTRAINTS_FILE, SELF_HOSTED, ModelConfig, Provider
from chassis.config.environment import check_sdk_variables
from chassis.config.project import Settings
from chassis.errors import ConfigError
from chassis.guard.egress import MAX_BODY_BYTES, Endpoint, ForbiddenAddress, Network, VendorModel, create_client
from chassis.guard.reply_check import max_reply_bytes

log = structlog.get_logger()

REQUIRED_VARIABLES: dict[Provider, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "openai-compatible": "OPENAI_COMPATIBLE_API_KEY",
    "local": "CHASSIS_LOCAL_MODEL_URL",
}
"""The environment variable that a provider's models need."""


def connect(config: ModelConfig, settings: Settings, timeout: float) -> VendorModel | None:
    """Return the vendor's model, or None if the environment variable that it needs is not set.

    Args:
        config: The model.
        settings: Holds the API keys.
        timeout: Seconds after which the SDK itself gives up.

    Raises:
        ConfigError: The provider's SDK is not installed, no model can be at the URL, or a variable would change what
            the SDK sends.
    """
    key, base_url = _key_and_base_url(config, settings)
    if key is None or base_url is None:
        return None
    check_sdk_variables("openai" if config.provider in SELF_HOSTED else config.provider, os.environ)
    client = create_client(_endpoint(config, base_url), timeout, min(max_reply_bytes(config), MAX_BODY_BYTES))
    try:
        model = MODEL_FACTORIES[config.provider](config, key.get_secret_value(), base_url, client)
    except ImportError:
        raise ConfigError(
            f"{CONSTRAINTS_FILE}: the model {config.name!r}",
            f"the SDK of provider {config.provider!r} is not installed",
            f"Run `uv add 'ai-service-chassis[{config.provider}]'`",
        ) from None
    return VendorModel(model, client)


def _endpoint(config: ModelConfig, base_url: str) -> Endpoint:
    network: Network = "own" if config.provider == "local" else "any" if config.private_network else "public"
    try:
        return Endpoint.from_url(base_url, network)
    except (ForbiddenAddress, InvalidURL) as error:
        where = REQUIRED_VARIABLES["local"]
        if config.provider != "local":
            where = f"{CONSTRAINTS_FILE}: base_url of the model {config.name!r}"
        raise ConfigError(where, str(error), "Write the address of a server of yours") from None


def _key_and_base_url(config: ModelConfig, settings: Settings) -> tuple[SecretStr | None, str | None]:
    match config.provider:
        case "openai":
            return settings.openai_api_key, config.url
        case "anthropic":
            return settings.anthropic_api_key, config.url
        case "google":
            return settings.gemini_api_key, config.url
        case "openai-compatible":
            return settings.openai_compatible_api_key, config.url
        case "local":
            return SecretStr("local"), settings.local_model_url  # its servers want some key, and ignore it


def _openai(config: ModelConfig, key: str, base_url: str, client: AsyncClient) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider

    sdk = AsyncOpenAI(api_key=key, base_url=base_url, http_client=client, timeout=_seconds(client), max_retries=0)
    try:
        from chassis.guard.chat_completions import DirectCompletions

        sdk.chat.completions.create = DirectCompletions(sdk, client).create
    except (ImportError, AttributeError) as error:  # it uses private names, which a new version may change
        log.warning("openai.direct_requests_off", reason=str(error))
    new_name = config.output_cap_parameter != "max_tokens"
    profile = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=new_name)
    return OpenAIChatModel(config.model, provider=OpenAIProvider(openai_client=sdk), profile=profile)


def _anthropic(config: ModelConfig, key: str, base_url: str, client: AsyncClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    sdk = AsyncAnthropic(api_key=key, base_url=base_url, http_client=client, timeout=_seconds(client), max_retries=0)
    return AnthropicModel(config.model, provider=AnthropicProvider(anthropic_client=sdk))


def _google(config: ModelConfig, key: str, base_url: str, client: AsyncClient) -> Model:
    from google.genai import Client
    from google.genai.types import HttpOptions, HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    milliseconds = round(_seconds(client) * 1000)
    one_attempt = HttpRetryOptions(attempts=1)
    options = HttpOptions(base_url=base_url, httpx_async_client=client, timeout=milliseconds, retry_options=one_attempt)
    return GoogleModel(config.model, provider=GoogleProvider(client=Client(api_key=key, http_options=options)))


def _seconds(client: AsyncClient) -> float:
    return client.timeout.read or 0


MODEL_FACTORIES: dict[Provider, Callable[[ModelConfig, str, str, AsyncClient], Model]] = {
    "openai": _openai,
    "openai-compatible": _openai,
    "local": _openai,
    "anthropic": _anthropic,
    "google": _google,
}
"""Functions from a model's configuration, an API key, a base URL and an HTTP client to pydantic-ai's model."""
