"""The vendors: the only file that knows their SDKs, each imported only if a model of the chain needs it.

Every client is made with an explicit timeout and without retries of its own: the chain decides what is tried again.
"""

from pydantic import SecretStr
from pydantic_ai.models import Model

from chassis.constraints import FILE, ModelLink
from chassis.errors import ConfigError
from chassis.settings import Settings

NEEDS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "openai-compatible": "OPENAI_COMPATIBLE_API_KEY",
    "local": "LOCAL_MODEL_URL",
}
"""The variable without which a provider's models cannot be asked."""


def connect(link: ModelLink, settings: Settings, timeout: float) -> Model | None:
    """Return the vendor's model, or None if the variable that it needs is not set.

    Args:
        link: Which model of which provider.
        settings: Holds the keys.
        timeout: Seconds after which the SDK itself gives up.

    Raises:
        ConfigError: The provider's SDK is not installed.
    """
    try:
        match link.provider:
            case "openai":
                return _openai(link.model, settings.openai_api_key, None, timeout)
            case "openai-compatible":
                return _openai(link.model, settings.openai_compatible_api_key, link.base_url, timeout)
            case "local":
                url = settings.local_model_url
                return _openai(link.model, SecretStr("local") if url else None, url, timeout)
            case "anthropic":
                return _anthropic(link.model, settings.anthropic_api_key, timeout)
            case "google":
                return _google(link.model, settings.gemini_api_key, timeout)
    except ImportError:
        raise ConfigError(
            f"{FILE}: the model {link.name!r}",
            f"the SDK of provider {link.provider!r} is not installed",
            f"Run `uv add 'chassis[{link.provider}]'`",
        ) from None


def _openai(model: str, key: SecretStr | None, base_url: str | None, timeout: float) -> Model | None:
    if key is None:
        return None
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(api_key=key.get_secret_value(), base_url=base_url, timeout=timeout, max_retries=0)
    return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))


def _anthropic(model: str, key: SecretStr | None, timeout: float) -> Model | None:
    if key is None:
        return None
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(api_key=key.get_secret_value(), timeout=timeout, max_retries=0)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


def _google(model: str, key: SecretStr | None, timeout: float) -> Model | None:
    if key is None:
        return None
    from google.genai import Client
    from google.genai.types import HttpOptions, HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    options = HttpOptions(timeout=round(timeout * 1000), retry_options=HttpRetryOptions(attempts=1))
    client = Client(api_key=key.get_secret_value(), http_options=options)
    return GoogleModel(model, provider=GoogleProvider(client=client))
