"""What can be told of a reply by looking at it: whether anything can be done with it."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart

from chassis.config.constraints import ModelConfig
from chassis.guard.failures import EmptyReply, LoopingReply, OversizedReply, RefusedReply, TruncatedReply

MAX_BYTES_PER_TOKEN = 128
"""No tokenizer in use has a longer token, so a reply within its cap cannot have more bytes than this for each."""
MAX_REPEATS = 3
"""A model that asks for the same thing this often in a row, and each time was told the result, will not stop."""


def check_reply(rules: ModelConfig, response: ModelResponse, messages: Sequence[ModelMessage] = ()) -> None:
    """Let a reply pass if something can be done with it.

    Args:
        rules: Those of the model that gave it.
        response: The reply.
        messages: What it replies to.

    Raises:
        UnusableReply: One of its kinds, by what is wrong.
    """
    name = rules.name
    if response.finish_reason == "content_filter":
        raise RefusedReply(name, f"{name} refused to answer")
    if response.finish_reason in {"length", "error"}:
        raise TruncatedReply(name, f"{name} stopped early ({response.finish_reason})")
    said, asked_for = _text(response), _tools(response)
    if not said.strip() and not asked_for:
        raise EmptyReply(name, f"{name} said nothing")
    size = len(said.encode()) + sum(len(arguments.encode()) for _, arguments in asked_for)
    if size > rules.max_output_tokens * MAX_BYTES_PER_TOKEN:
        raise OversizedReply(name, f"{name} wrote {size} bytes, more than {rules.max_output_tokens} tokens can have")
    if asked_for and _repeats(asked_for, messages) >= MAX_REPEATS:
        raise LoopingReply(name, f"{name} asks for the same tool with the same arguments again and again")


def _text(response: ModelResponse) -> str:
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


def _tools(response: ModelResponse) -> list[tuple[str, str]]:
    return [(part.tool_name, part.args_as_json_str()) for part in response.parts if isinstance(part, ToolCallPart)]


def _repeats(asked_for: list[tuple[str, str]], messages: Sequence[ModelMessage]) -> int:
    """Return how many replies in a row, up to the last, asked for just the same."""
    earlier: Iterator[ModelResponse] = (item for item in reversed(messages) if isinstance(item, ModelResponse))
    return sum(1 for _ in takewhile(lambda response: _tools(response) == asked_for, earlier))
