"""One model request as plain bytes: what tells two requests apart, and what bounds their size."""

import json

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_jsonable_python

from chassis.types import Json

PASSING = frozenset({"timestamp", "run_id", "conversation_id"})
"""Keys of a message that differ each time it is sent and change nothing in the reply."""

TOKENS_PER_MESSAGE = 16
"""Generous room for the separators that vendors put around a message."""


def canonical(
    messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> bytes:
    """Return the same bytes for the same request, whenever and by whichever process it is sent."""
    plain = to_jsonable_python((messages, settings, parameters), fallback=lambda value: type(value).__qualname__)
    return json.dumps(_lasting(plain), sort_keys=True, ensure_ascii=False).encode()


def input_bound(request: bytes, messages: list[ModelMessage]) -> int:
    """Return a number of tokens that no model can exceed in reading this request.

    Every token of a byte-level tokenizer covers at least one byte, and the canonical form holds every word sent.
    """
    return len(request) + TOKENS_PER_MESSAGE * len(messages)


def _lasting(value: Json) -> Json:
    match value:
        case dict():
            return {key: _lasting(item) for key, item in value.items() if key not in PASSING}
        case list():
            return [_lasting(item) for item in value]
        case _:
            return value
