"""Nothing sensitive leaves: what goes out carries placeholders, what comes back has the values again.

Everything in a message counts as words, except the few keys that hold names, ids and times: a part of a new kind is
searched too. What cannot be searched, such as a picture, does not leave where anything is to be redacted.
"""

import json
from dataclasses import dataclass, replace
from typing import cast

from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from chassis.call import Turn
from chassis.contract import Json
from chassis.errors import InputNotAllowed
from chassis.guard.request import Request, Step
from chassis.privacy.finder import Finder
from chassis.privacy.placeholders import Placeholders

NOT_TEXT_KEYS = frozenset(
    {"id", "kind", "media_type", "metadata", "name", "outcome", "part_kind", "provider_details", "provider_name"}
    | {"signature", "timestamp", "tool_call_id", "tool_kind", "tool_name"}
)
"""The keys of a part under which no words travel."""
ATTACHMENT_KINDS = frozenset({"audio-url", "binary", "document-url", "image-url", "uploaded-file", "video-url"})
"""The kinds of content that hold something other than text, or say where it is."""
HEADERS_SETTING = "extra_headers"
"""The one setting in which a team may well send a key of its own."""
SCHEMA_TEXT_KEYS = frozenset({"description", "title", "enum", "const", "default", "examples"})
"""The keys of a tool's schema under which words travel."""


@dataclass(frozen=True, slots=True)
class Redact:
    """Asks with placeholders instead of sensitive values.

    Args:
        inner: The rest of the walk.
        finder: Looks for everything that any destination of the chain wants replaced.
        turn: Carries the placeholders, which last for the whole call.
    """

    inner: Step
    finder: Finder
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Redact, ask, restore.

        Raises:
            InputNotAllowed: A message has an attachment that cannot be searched.
        """
        if not self.finder.kinds:
            return await self.inner.ask(request)
        words = _Words(self.finder, self.turn.call.placeholders)
        response = await self.inner.ask(words.of_request(request))
        in_json = request.parameters.output_mode in {"native", "prompted"}
        return replace(response, parts=[words.restored(part, in_json=in_json) for part in response.parts])


class _Words:
    """Takes the values out of a request, and puts them back into a reply."""

    def __init__(self, finder: Finder, placeholders: Placeholders) -> None:
        self._finder, self._placeholders = finder, placeholders

    def of_request(self, request: Request) -> Request:
        """Return a request that holds no values."""
        messages = ModelMessagesTypeAdapter.dump_python(request.messages, mode="json")
        return Request(
            ModelMessagesTypeAdapter.validate_python([self.of_message(message) for message in messages]),
            self.of_settings(request.settings),
            self.of_parameters(request.parameters),
        )

    def of_message(self, message: dict[str, Json]) -> dict[str, Json]:
        """Return a message whose parts and instructions hold no values."""
        parts = message["parts"] if isinstance(message["parts"], list) else []
        spoken: dict[str, Json] = {"parts": [self._of_part(part) for part in parts if isinstance(part, dict)]}
        if isinstance(message.get("instructions"), str):
            spoken["instructions"] = self._plain(message["instructions"])
        return {**message, **spoken}

    def of_parameters(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Return parameters whose instructions and tools hold no values."""
        parts = [replace(part, content=self._text(part.content)) for part in parameters.instruction_parts or []]
        return replace(
            parameters,
            instruction_parts=parts or parameters.instruction_parts,
            function_tools=[self._of_tool(tool) for tool in parameters.function_tools],
            output_tools=[self._of_tool(tool) for tool in parameters.output_tools],
        )

    def of_settings(self, settings: ModelSettings | None) -> ModelSettings | None:
        """Return settings whose texts hold no values; headers stay, for what a team sends in one may be its own key."""
        if settings is None:
            return None
        searched = (
            key for key, value in settings.items() if key != HEADERS_SETTING and isinstance(value, str | list | dict)
        )
        words = {key: self._plain(cast("Json", settings.get(key))) for key in searched}
        return settings | cast("ModelSettings", words)

    def restored(self, part: ModelResponsePart, *, in_json: bool) -> ModelResponsePart:
        """Return a part of a reply with the values again; what a model thinks stays as its vendor signed it."""
        match part:
            case TextPart():
                return replace(part, content=self._placeholders.restore(part.content, in_json=in_json))
            case ToolCallPart(args=str() as args) | NativeToolCallPart(args=str() as args):
                return replace(part, args=self._placeholders.restore(args, in_json=True))
            case ToolCallPart(args=dict() as args) | NativeToolCallPart(args=dict() as args):
                return replace(part, args=json.loads(self._placeholders.restore(json.dumps(args), in_json=True)))
            case _:
                return part

    def _of_part(self, part: dict[str, Json]) -> dict[str, Json]:
        return {
            key: value if key in NOT_TEXT_KEYS else self._arguments(value) if key == "args" else self._plain(value)
            for key, value in part.items()
        }

    def _of_tool(self, tool: ToolDefinition) -> ToolDefinition:
        schema = self._of_schema(tool.parameters_json_schema)
        description = tool.description and self._text(tool.description)
        return replace(tool, description=description, parameters_json_schema=schema)

    def _of_schema(self, schema: dict[str, Json]) -> dict[str, Json]:
        return {
            key: self._plain(value) if key in SCHEMA_TEXT_KEYS else self._below(value) for key, value in schema.items()
        }

    def _below(self, value: Json) -> Json:
        match value:
            case dict():
                return self._of_schema(value)
            case list():
                return [self._below(item) for item in value]
            case _:
                return value

    def _arguments(self, value: Json) -> Json:
        """Return a tool's arguments without values; some vendors hand them over as JSON in a string."""
        if not isinstance(value, str):
            return self._plain(value)
        try:
            return json.dumps(self._plain(json.loads(value)), ensure_ascii=False)
        except json.JSONDecodeError:
            return self._text(value)

    def _plain(self, value: Json) -> Json:
        match value:
            case str():
                return self._text(value)
            case bool() | None:
                return value
            case int():
                return value if self._text(str(value)) == str(value) else self._text(str(value))
            case list():
                return [self._plain(item) for item in value]
            case {"kind": str(kind)} if kind in ATTACHMENT_KINDS:
                raise InputNotAllowed(f"An attachment ({kind}) cannot be searched for what destinations.*.redact names")
            case dict():
                return {self._text(key): self._under(key, item) for key, item in value.items()}
            case _:
                return value

    def _under(self, key: str, value: Json) -> Json:
        """Return a value without what is sensitive in it; the key that it stands under may be what gives it away."""
        if not isinstance(value, str):
            return self._plain(value)
        head = f"{key}: "
        both = self._text(head + value)
        return both.removeprefix(head) if both.startswith(head) else self._text(value)

    def _text(self, text: str) -> str:
        return self._finder.redact(text, self._placeholders)
