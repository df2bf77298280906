"""One model request as plain bytes: what tells two requests apart, and what bounds their size."""

import json
import re

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_jsonable_python

from chassis.call import Turn
from chassis.errors import NotAllowed
from chassis.types import Json

PASSING = frozenset({"timestamp", "run_id", "conversation_id"})
"""Keys of a message and of its parts that differ each time it is sent and change nothing in the reply."""

ATTACHED = re.compile(rb'"kind": "(audio-url|binary|document-url|image-url|uploaded-file|video-url)"')
"""What a message can hold, or point at, beside text; in a text itself the quotes are escaped."""

TOKENS_PER_MESSAGE = 16
"""Generous room for the separators that vendors put around a message."""


def canonical(
    messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> bytes:
    """Return the same bytes for the same request, whenever and by whichever process it is sent."""
    everything = (messages, settings, parameters)
    sent, *rest = to_jsonable_python(everything, bytes_mode="base64", fallback=lambda value: type(value).__qualname__)
    lasting = [_lasting(message) | {"parts": [_lasting(part) for part in message["parts"]]} for message in sent]
    return json.dumps([lasting, *rest], sort_keys=True, ensure_ascii=False).encode()


def canonical_of(
    turn: Turn, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> bytes:
    """Return the canonical bytes of a turn's request, made once: the cache and the budget both go by them."""
    if turn.request is None:
        turn.request = canonical(messages, settings, parameters)
    return turn.request


def input_bound(request: bytes, messages: list[ModelMessage], parameters: ModelRequestParameters) -> int:
    """Return a number of tokens that no model can exceed in reading this request.

    Every token of a byte-level tokenizer covers at least one byte, and the canonical form holds every word sent.

    Raises:
        NotAllowed: It holds what is read elsewhere: a picture, a document, or what a tool of the vendor's finds.
    """
    if (found := ATTACHED.search(request)) or parameters.native_tools:
        what = found[1].decode() if found else f"tool {parameters.native_tools[0].kind}"
        raise NotAllowed(f"Nobody can say beforehand what reading this {what} costs, so no budget can hold it")
    return len(request) + TOKENS_PER_MESSAGE * len(messages)


def _lasting(item: dict[str, Json]) -> dict[str, Json]:
    """Leave out what passes; only here, for a tool may well be given a `timestamp` of its own."""
    return {key: value for key, value in item.items() if key not in PASSING}
