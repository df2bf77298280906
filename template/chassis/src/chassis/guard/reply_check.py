"""Checks whether a model's reply can be used, and whether the usage that the vendor reports can be true."""

import json
from collections.abc import Iterator, Sequence
from itertools import takewhile

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart
from pydantic_core import from_json

from chassis.config.constraints import ModelConfig
from chassis.guard.failures import (
    EmptyReply,
    LoopingReply,
    OversizedReply,
    RefusedReply,
    TruncatedReply,
    UnreadableReply,
)

REPLY = TypeAdapter(ModelResponse)

MAX_BYTES_PER_TOKEN = 128
"""No tokenizer in use has a longer token, so a reply within its cap has at most this many bytes for each token."""
MAX_OVERHEAD_BYTES = 16_384
"""An allowance for what a reply contains besides its tokens, such as ids, signatures and the names of JSON keys."""
MAX_REPEATS = 3
"""A model that asked for the same tools this often in a row, although it was told the results, is in a loop."""
COUNTED_TOKENS = frozenset(
    {"input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "output_reasoning_tokens"}
)
"""The fields of a usage that a request for text can use. Such a request pays for no audio and no searches."""
NOT_COUNTS = frozenset({"details", "cost", "unmeasured_requests"})
"""The fields of a usage that say nothing about tokens, or say it a second time."""

CUT_OFF = frozenset(
    {"length", "max_tokens", "model_length", "error", "abort", "aborted", "cancelled", "timeout", "network_error"}
    | {"insufficient_system_resource"}
)
FILTERED = frozenset({"content_filter", "guardrail_intervened", "safety", "recitation", "sensitive", "blocklist"})
"""Why a reply ended, in the words of pydantic-ai, and in those of servers that it passes on as they are."""


def max_reply_bytes(config: ModelConfig) -> int:
    """Return how long a reply within the cap on output tokens can be. It is the limit of a response's body too.

    An SDK needs up to 20 µs for each byte of a body that has thousands of parts, and nothing else runs meanwhile.
    """
    return config.max_output_tokens * MAX_BYTES_PER_TOKEN + MAX_OVERHEAD_BYTES


def check_reply(config: ModelConfig, response: ModelResponse, messages: Sequence[ModelMessage] = ()) -> None:
    """Check that a reply can be used.

    Args:
        config: The model that gave it.
        response: The reply.
        messages: The conversation that it replies to.

    Raises:
        UnusableReply: One of its subclasses, which says why not.
        ValueError: Its text is not Unicode, or a part is not what its type says.
    """
    name = config.name
    original_reason = str((response.provider_details or {}).get("finish_reason")).lower()
    reasons = {response.finish_reason, original_reason}
    if reasons & FILTERED:
        raise RefusedReply(name, f"{name} refused to answer")
    if reasons & CUT_OFF:
        raise TruncatedReply(name, f"{name} stopped early ({response.finish_reason or original_reason})")
    _check_form(config, response)
    tool_calls = _tool_calls(response)
    if not tool_calls and not any(_is_visible(part.content) for part in response.parts if isinstance(part, TextPart)):
        raise EmptyReply(name, f"{name} returned neither text nor a tool call")
    if tool_calls and _repeats(tool_calls, messages) >= MAX_REPEATS:
        raise LoopingReply(name, f"{name} keeps asking for the same tool with the same arguments")


def is_plausible_usage(response: ModelResponse, max_input_tokens: int, max_output_tokens: int) -> bool:
    """Return whether the tokens that a reply claims to have used can be true.

    Args:
        response: The reply.
        max_input_tokens: The most tokens that any model can read from the request.
        max_output_tokens: The cap on output tokens that was sent with the request.
    """
    usage = response.usage
    fields = {name: count for name, count in vars(usage).items() if name not in NOT_COUNTS}
    characters = sum(len(text) for part in response.parts for text in _texts(part))
    return (
        all(type(count) is int and count >= 0 for name, count in fields.items() if name in COUNTED_TOKENS)
        and not any(count for name, count in fields.items() if name not in COUNTED_TOKENS)
        and 0 < usage.input_tokens <= max_input_tokens
        and characters / MAX_BYTES_PER_TOKEN <= usage.output_tokens <= max_output_tokens
        and usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
        and usage.output_reasoning_tokens <= usage.output_tokens
    )


def _check_form(config: ModelConfig, response: ModelResponse) -> None:
    """Check that a reply consists of text and tool calls, is not too long, and can be stored and read again."""
    encoded = REPLY.dump_json(response, warnings=False)
    if len(encoded) > max_reply_bytes(config):
        raise OversizedReply(
            config.name,
            f"{config.name} returned {len(encoded)} bytes, more than {config.max_output_tokens} tokens can have",
        )
    for part in response.parts:
        if not isinstance(part, TextPart | ThinkingPart | ToolCallPart):
            raise UnreadableReply(config.name, f"{config.name} returned neither text nor a tool call, but {type(part)}")
        if isinstance(part, ToolCallPart) and isinstance(part.args, str):
            _check_arguments(part.args)
    REPLY.validate_json(encoded)


def _check_arguments(arguments: str) -> None:
    """Check the arguments of a tool call, which are JSON, but not always valid JSON.

    The agent asks the model again if they are not. But no part of a service is prepared for JSON that a parser cannot
    read although its syntax is right, because a number has thousands of digits or lists are nested too deeply.
    """
    try:
        json.loads(arguments)
    except json.JSONDecodeError:
        return
    from_json(arguments)  # it allows for less depth


def _texts(part: ModelResponsePart) -> Iterator[str]:
    """Yield what the model has written of a part."""
    match part:
        case TextPart() | ThinkingPart():
            yield part.content or ""
        case ToolCallPart():
            yield part.tool_name
            yield part.args if isinstance(part.args, str) else part.args_as_json_str()
        case _:
            pass


def _is_visible(text: str) -> bool:
    """Return whether a reader sees any of a text."""
    return any(char.isprintable() and not char.isspace() for char in text)


def _tool_calls(response: ModelResponse) -> list[tuple[str, str]]:
    return [(part.tool_name, part.args_as_json_str()) for part in response.parts if isinstance(part, ToolCallPart)]


def _repeats(tool_calls: list[tuple[str, str]], messages: Sequence[ModelMessage]) -> int:
    """Return how many of the latest replies in a row asked for exactly these tool calls."""
    replies = (message for message in reversed(messages) if isinstance(message, ModelResponse))
    return sum(1 for _ in takewhile(lambda reply: _tool_calls(reply) == tool_calls, replies))
