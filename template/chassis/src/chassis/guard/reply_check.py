"""Checks whether a model's reply can be used."""

from collections.abc import Sequence
from itertools import takewhile

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart

from chassis.config.constraints import ModelConfig
from chassis.guard.failures import EmptyReply, LoopingReply, OversizedReply, RefusedReply, TruncatedReply

MAX_BYTES_PER_TOKEN = 128
"""No tokenizer in use has a longer token, so a reply within its cap has at most this many bytes for each token."""
MAX_REPEATS = 3
"""A model that asked for the same tools this often in a row, although it was told the results, is in a loop."""


def check_reply(config: ModelConfig, response: ModelResponse, messages: Sequence[ModelMessage] = ()) -> None:
    """Check that a reply can be used.

    Args:
        config: The model that gave it.
        response: The reply.
        messages: The conversation that it replies to.

    Raises:
        UnusableReply: One of its subclasses, which says why not.
    """
    name = config.name
    if response.finish_reason == "content_filter":
        raise RefusedReply(name, f"{name} refused to answer")
    if response.finish_reason in {"length", "error"}:
        raise TruncatedReply(name, f"{name} stopped early ({response.finish_reason})")
    text, tool_calls = _text(response), _tool_calls(response)
    if not text.strip() and not tool_calls:
        raise EmptyReply(name, f"{name} returned neither text nor a tool call")
    size = len(text.encode()) + sum(len(arguments.encode()) for _, arguments in tool_calls)
    if size > config.max_output_tokens * MAX_BYTES_PER_TOKEN:
        raise OversizedReply(
            name, f"{name} returned {size} bytes, more than {config.max_output_tokens} tokens can have"
        )
    if tool_calls and _repeats(tool_calls, messages) >= MAX_REPEATS:
        raise LoopingReply(name, f"{name} keeps asking for the same tool with the same arguments")


def _text(response: ModelResponse) -> str:
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


def _tool_calls(response: ModelResponse) -> list[tuple[str, str]]:
    return [(part.tool_name, part.args_as_json_str()) for part in response.parts if isinstance(part, ToolCallPart)]


def _repeats(tool_calls: list[tuple[str, str]], messages: Sequence[ModelMessage]) -> int:
    """Return how many of the latest replies in a row asked for exactly these tool calls."""
    replies = (message for message in reversed(messages) if isinstance(message, ModelResponse))
    return sum(1 for _ in takewhile(lambda reply: _tool_calls(reply) == tool_calls, replies))
