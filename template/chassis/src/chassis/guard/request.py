"""One step of the walk from a task to a vendor."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_jsonable_python

from chassis.contract import Json
from chassis.errors import InputNotAllowed

VOLATILE_KEYS = frozenset({"timestamp", "run_id", "conversation_id"})
"""Keys of a message and of its parts that differ each time it is sent and change nothing in the reply."""

ATTACHMENT = re.compile(rb'"kind": "(audio-url|binary|document-url|image-url|uploaded-file|video-url)"')
"""What a message can hold, or point at, beside text; in a text itself the quotes are escaped."""

TOKENS_PER_MESSAGE = 16
"""Generous room for the separators that vendors put around a message."""


@dataclass(frozen=True)
class Request:
    """What pydantic-ai asks of a model, in one piece.

    Args:
        messages: The conversation so far.
        settings: How the task wants to be answered, such as its temperature.
        parameters: The tools on offer, and the form of the reply.
    """

    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters

    @cached_property
    def canonical(self) -> bytes:
        """Return the same bytes for the same request, whenever and by whichever process it is sent."""
        everything = (self.messages, self.settings, self.parameters)
        plain = to_jsonable_python(everything, bytes_mode="base64", fallback=lambda value: type(value).__qualname__)
        sent, *rest = plain
        lasting = [_lasting(message) | {"parts": [_lasting(part) for part in message["parts"]]} for message in sent]
        return json.dumps([lasting, *rest], sort_keys=True, ensure_ascii=False).encode()

    @property
    def max_input_tokens(self) -> int:
        """Return a number of tokens that no model can exceed in reading this request.

        Every token of a byte-level tokenizer covers at least one byte, and the canonical form holds every word sent.

        Raises:
            InputNotAllowed: It holds more than text: a picture, a document, or what a tool of the vendor finds.
        """
        tools = self.parameters.native_tools
        if (found := ATTACHMENT.search(self.canonical)) or tools:
            what = found[1].decode() if found else f"tool {tools[0].kind}"
            raise InputNotAllowed(f"Nobody can say beforehand what reading this {what} costs, so no budget can hold it")
        return len(self.canonical) + TOKENS_PER_MESSAGE * len(self.messages)


def _lasting(item: dict[str, Json]) -> dict[str, Json]:
    """Leave out what passes; only here, for a tool may well be given a `timestamp` of its own."""
    return {key: value for key, value in item.items() if key not in VOLATILE_KEYS}


class Step(Protocol):
    """Replies to a request: most steps by asking the step behind them, under a condition of their own."""

    async def ask(self, request: Request) -> ModelResponse:
        """Return the reply, or raise why there is none."""
        ...
