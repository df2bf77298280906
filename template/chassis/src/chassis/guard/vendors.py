"""The vendors: the only file that knows their SDKs, each imported only if a model of the chain needs it.

Every client is made with an explicit timeout and without retries of its own: the chain decides what is tried again.
Each sends with a client of `egress.py`, which reaches the vendor's address and no other; no variable can change it.
"""

from collections.abc import Callable

from httpx2 import AsyncClient
from pydantic import SecretStr
from pydantic_ai.models import Model

from chassis.config.constraints import FILE, ModelConfig, Provider
from chassis.config.settings import Settings
from chassis.errors import ConfigError
from chassis.guard.egress import Endpoint, VendorModel, client_for

REQUIRED_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "openai-compatible": "OPENAI_COMPATIBLE_API_KEY",
    "local": "LOCAL_MODEL_URL",
}
"""The variable without which a provider's models cannot be asked."""


def connect(link: ModelConfig, settings: Settings, timeout: float) -> VendorModel | None:
    """Return the vendor's model, or None if the variable that it needs is not set.

    Args:
        link: Which model of which provider.
        settings: Holds the keys.
        timeout: Seconds after which the SDK itself gives up.

    Raises:
        ConfigError: The provider's SDK is not installed.
    """
    key, base_url = _key_and_address(link, settings)
    if key is None or base_url is None:
        return None
    place = Endpoint.at(base_url, private=link.private_network or link.provider == "local")
    client = client_for(place, timeout)
    try:
        vendor = FACTORIES[link.provider](link.model, key.get_secret_value(), base_url, client)
    except ImportError:
        raise ConfigError(
            f"{FILE}: the model {link.name!r}",
            f"the SDK of provider {link.provider!r} is not installed",
            f"Run `uv add 'ai-service-chassis[{link.provider}]'`",
        ) from None
    return VendorModel(vendor, client)


def _key_and_address(link: ModelConfig, settings: Settings) -> tuple[SecretStr | None, str | None]:
    match link.provider:
        case "openai":
            return settings.openai_api_key, link.url
        case "anthropic":
            return settings.anthropic_api_key, link.url
        case "google":
            return settings.gemini_api_key, link.url
        case "openai-compatible":
            return settings.openai_compatible_api_key, link.url
        case "local":
            return SecretStr("local"), settings.local_model_url


def _openai(model: str, key: str, base_url: str, client: AsyncClient) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    sdk = AsyncOpenAI(api_key=key, base_url=base_url, http_client=client, timeout=_seconds(client), max_retries=0)
    return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=sdk))


def _anthropic(model: str, key: str, base_url: str, client: AsyncClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    sdk = AsyncAnthropic(api_key=key, base_url=base_url, http_client=client, timeout=_seconds(client), max_retries=0)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=sdk))


def _google(model: str, key: str, base_url: str, client: AsyncClient) -> Model:
    from google.genai import Client
    from google.genai.types import HttpOptions, HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    retries, timeout = HttpRetryOptions(attempts=1), round(_seconds(client) * 1000)
    options = HttpOptions(base_url=base_url, httpx_async_client=client, timeout=timeout, retry_options=retries)
    return GoogleModel(model, provider=GoogleProvider(client=Client(api_key=key, http_options=options)))


def _seconds(client: AsyncClient) -> float:
    return client.timeout.read or 0


FACTORIES: dict[Provider, Callable[[str, str, str, AsyncClient], Model]] = {
    "openai": _openai,
    "openai-compatible": _openai,
    "local": _openai,
    "anthropic": _anthropic,
    "google": _google,
}
