"""A request to a model, and the interface of the steps that it passes."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_jsonable_python

from chassis.config.constraints import CONSTRAINTS_FILE
from chassis.contract import Json
from chassis.errors import ConfigError, InputNotAllowed

ATTACHMENT_KINDS = frozenset({"audio-url", "binary", "document-url", "image-url", "uploaded-file", "video-url"})
"""What pydantic-ai writes under `kind` for content that is not text, or that points at content elsewhere."""
ATTACHMENT = re.compile(rf'"kind": "({"|".join(sorted(ATTACHMENT_KINDS))})"'.encode())
"""Finds an attachment in a canonical request. Text that quotes one does not match, because its quotes are escaped."""
VOLATILE_KEYS = frozenset({"timestamp", "run_id", "conversation_id"})
"""Keys of messages and parts whose values differ with every request and do not influence the reply."""
ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False)
TOKENS_PER_MESSAGE = 16
"""A generous allowance for the separators that vendors put around each message."""


@dataclass
class Request:
    """The arguments of pydantic-ai's `Model.request`, as one value.

    Args:
        messages: The conversation so far.
        settings: Such as the temperature.
        parameters: The tools that the model may call, and the form of its output.
    """

    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters

    @cached_property
    def canonical(self) -> bytes:
        """Return an encoding in JSON that is equal for equal requests, in every process and at any time."""
        content = (self.messages, self.settings, self.parameters)
        # A value that has no JSON form, such as the function of a tool, is represented by the name of its type.
        encoded = to_jsonable_python(content, bytes_mode="base64", fallback=lambda value: type(value).__qualname__)
        messages, *rest = encoded
        # Only messages and parts lose the volatile keys: a `timestamp` that a tool returned was read by the model.
        stable = [_stable(message) | {"parts": [_stable(part) for part in message["parts"]]} for message in messages]
        return ENCODER.encode([stable, *rest]).encode()

    @property
    def max_input_tokens(self) -> int:
        """Return an upper bound of the tokens that any model reads for this request.

        A token of a byte-level tokenizer covers at least one byte, and the canonical form contains all text that is
        sent.

        Raises:
            InputNotAllowed: The request has no bound, because it contains an attachment, or a tool that the vendor
                runs and whose results the model reads.
        """
        if attachment := ATTACHMENT.search(self.canonical):
            raise InputNotAllowed(_unbounded(f"an attachment ({attachment[1].decode()})"))
        if self.parameters.native_tools:
            raise InputNotAllowed(_unbounded(f"what the tool {self.parameters.native_tools[0].kind} finds"))
        return len(self.canonical) + TOKENS_PER_MESSAGE * len(self.messages)


def _stable(item: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in item.items() if key not in VOLATILE_KEYS}


def _unbounded(content: str) -> str:
    return f"The cost of reading {content} has no upper bound, so no budget can be reserved for it"


# Steps are not frozen: they are created for each request, and a frozen object takes four times as long to create.
class Step(Protocol):
    """One step of the pipeline. Most steps pass the request on to the next one, under a condition of their own."""

    async def ask(self, request: Request) -> ModelResponse:
        """Return the reply to the request.

        Raises:
            ModelAPIError: One model failed; `Fallback` asks the next one. See `failures.py`.
            CallError: The call cannot continue, whichever model is asked. See `chassis/errors.py`.
        """
        ...


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
