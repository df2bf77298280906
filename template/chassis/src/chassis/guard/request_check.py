"""Checks what a task wants to send: settings that would change its cost, and tools that are not declared.

A reservation covers the text of a request, its output cap and its retries. These settings change the price, the size
or the number of attempts in other ways.
"""

from collections.abc import Collection, Sequence

from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from chassis.config.constraints import CONSTRAINTS_FILE
from chassis.errors import ConfigError

STANDARD_SERVICE_TIERS = ("auto", "default", "standard", "standard_only", "flex")
"""Service tiers that cost the list price or less."""
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
"""The values of each setting that are allowed because they do not raise the cost."""
LONG_CACHE_TTLS = ("1h", "12h")
"""Lifetimes of a vendor's prompt cache for which writing costs more than the price that is reserved."""


def check_settings(settings: ModelSettings | None) -> None:
    """Reject settings that could make a request cost more than its reservation. Nothing has been sent yet.

    Raises:
        ConfigError: It names the setting but not its value, which may contain a caller's text.
    """
    for key, value in (settings or {}).items():
        if value and key in COST_CHANGING_SETTINGS and value not in COST_CHANGING_SETTINGS[key]:
            raise _cost_error(key, "Remove the setting")
        # A lifetime can be the value itself or be nested in it, depending on the vendor.
        if "cache" in key and any(repr(ttl) in repr(value) for ttl in LONG_CACHE_TTLS):
            raise _cost_error(key, "Remove the setting, or cache for minutes")


def check_tools(offered: Sequence[ToolDefinition], declared: Collection[str]) -> None:
    """Reject tools that `constraints.toml` does not declare. Nothing has been sent yet.

    Raises:
        ConfigError: It names the tool and the section to add.
    """
    for tool in offered:
        if tool.name not in declared:
            raise ConfigError(
                f"{CONSTRAINTS_FILE}: tools",
                f"the task offers the model the tool {tool.name!r}, which is not declared",
                f"Add [tools.{tool.name}] with destination and side_effects",
            )


def _cost_error(setting: str, remedy: str) -> ConfigError:
    return ConfigError(
        f"model setting {setting!r}", "its value changes the cost of a request beyond any budget", remedy
    )
