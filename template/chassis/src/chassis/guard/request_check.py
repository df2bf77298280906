"""Which settings a request may not carry: those that change its price, its size or its attempts unseen."""

from collections.abc import Collection, Sequence

from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from chassis.config.constraints import FILE
from chassis.errors import ConfigError

STANDARD_SERVICE_TIERS = ("auto", "default", "standard", "standard_only", "flex")
"""Service tiers that cost what the list says, or less."""
COST_CHANGING_SETTINGS: dict[str, tuple[str, ...]] = {
    "anthropic_container": (),
    "anthropic_service_tier": STANDARD_SERVICE_TIERS,
    "anthropic_speed": ("standard",),
    "extra_body": (),
    "google_cached_content": (),
    "max_retries": (),
    "openai_prediction": (),
    "openai_service_tier": STANDARD_SERVICE_TIERS,
    "service_tier": STANDARD_SERVICE_TIERS,
}
"""By setting, the values that are harmless; what any other one adds to the bill, nobody can hold."""
LONG_CACHE_TTLS = ("1h", "12h")
"""Prompt caches that cost more to write than is held for it."""


def check_settings(settings: ModelSettings | None) -> None:
    """Stop a request whose cost would not be bounded by its text and its cap; nothing has been sent yet.

    Raises:
        ConfigError: It names the setting, and not its value, which may be a caller's words.
    """
    for key, value in (settings or {}).items():
        if value and key in COST_CHANGING_SETTINGS and value not in COST_CHANGING_SETTINGS[key]:
            raise _refusal(key, "Remove it")
        if "cache" in key and any(repr(kept) in repr(value) for kept in LONG_CACHE_TTLS):
            raise _refusal(key, "Remove it, or keep the cache for minutes")


def _refusal(key: str, remedy: str) -> ConfigError:
    return ConfigError(f"model setting {key!r}", "no budget holds what the task sets it to", remedy)


def check_tools(offered: Sequence[ToolDefinition], declared: Collection[str]) -> None:
    """Stop a request that offers a tool which nobody declared; nothing has been sent yet.

    Raises:
        ConfigError: It names the tool and the section to add.
    """
    for tool in offered:
        if tool.name not in declared:
            raise ConfigError(
                f"{FILE}: tools",
                f"the task offers its model the tool {tool.name!r}, which is not declared",
                f"Add [tools.{tool.name}] with destination and side_effects",
            )
