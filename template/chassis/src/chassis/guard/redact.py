"""Replaces sensitive values by placeholders in what is sent, and puts the values back into what comes back.

Every value in a message is searched except under the few keys of `NOT_TEXT_KEYS`, so that a kind of part that
pydantic-ai adds later is searched too. Attachments cannot be searched, so they are refused where anything is redacted.
"""

import json
import re
from dataclasses import dataclass, replace
from itertools import groupby
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
from chassis.guard.request import ATTACHMENT_KINDS, Request, Step
from chassis.privacy.finder import Finder
from chassis.privacy.placeholders import Placeholders

NOT_TEXT_KEYS = frozenset(
    {"kind", "media_type", "metadata", "outcome", "part_kind", "provider_details", "provider_name"}
    | {"signature", "timestamp", "tool_kind"}
)
"""Keys of a message part whose values are kinds and times, and never text of a caller."""
NAME_KEYS = frozenset({"id", "name", "tool_call_id", "tool_name"})
"""Keys of a message part whose values a model may have made up, and which may contain no brackets."""
NOT_IN_NAMES = re.compile("[^A-Za-z0-9_-]+")
SCHEMA_TEXT_KEYS = frozenset({"description", "title", "enum", "const", "default", "examples"})
"""Keys of a tool's JSON schema whose values are text. The others are its structure."""
HEADERS_SETTING = "extra_headers"
"""The one setting that is not searched: a team may have to send a credential of its own in a header."""


@dataclass(slots=True)
class Redact:
    """Asks with placeholders instead of sensitive values.

    Args:
        inner: The next step.
        finder: Finds everything that any destination of the chain wants redacted.
        turn: Its call has the placeholders, so that a value has the same one in every request of the call.
    """

    inner: Step
    finder: Finder
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Redact the request, ask, and restore the reply.

        Raises:
            InputNotAllowed: A message contains an attachment, which cannot be searched.
        """
        # Nothing is redacted for these destinations, so attachments, which cannot be searched, may pass too.
        if not self.finder.kinds:
            return await self.inner.ask(request)
        redactor = _Redactor(self.finder, self.turn.call.placeholders)
        response = await self.inner.ask(redactor.redact(request))
        if not self.turn.call.placeholders:
            return response
        # In these modes the text of the reply is JSON, in which a restored value has to be escaped.
        is_json = request.parameters.output_mode in {"native", "prompted"}
        return replace(response, parts=[redactor.restore_part(part, is_json=is_json) for part in response.parts])


class _Redactor:
    """Redacts requests and restores replies with the placeholders of one call."""

    def __init__(self, finder: Finder, placeholders: Placeholders) -> None:
        self._finder, self._placeholders = finder, placeholders

    def redact(self, request: Request) -> Request:
        # The detectors find the same again; what the second pass adds is that earlier parts lose the values that later
        # ones have given away. Nothing is left for a third.
        known = len(self._placeholders)
        redacted = self._request(request)
        # A value that a later part gives away may also stand in an earlier one.
        return redacted if len(self._placeholders) == known else self._request(request)

    def _request(self, request: Request) -> Request:
        # As JSON, all kinds of parts can be searched in the same way.
        messages = ModelMessagesTypeAdapter.dump_python(request.messages, mode="json")
        # Before anything is replaced: a caller who writes `[EMAIL_1]` must not get the value of another text for it.
        self._placeholders.reserve(str(messages))
        redacted = [self._message(message) for message in messages]
        return Request(
            request.messages if redacted == messages else ModelMessagesTypeAdapter.validate_python(redacted),
            self._settings(request.settings),
            self._parameters(request.parameters),
        )

    def restore_part(self, part: ModelResponsePart, *, is_json: bool) -> ModelResponsePart:
        """Restore one part of a reply. Thinking stays as it is: vendors sign it and reject it if it was changed."""
        match part:
            case TextPart():
                return replace(part, content=self._placeholders.restore(part.content, in_json=is_json))
            case ToolCallPart(args=str() as args) | NativeToolCallPart(args=str() as args):
                return replace(part, args=self._placeholders.restore(args, in_json=True))
            # By way of JSON, because a placeholder may stand at any depth and also in a key.
            case ToolCallPart(args=dict() as args) | NativeToolCallPart(args=dict() as args):
                return replace(part, args=json.loads(self._placeholders.restore(json.dumps(args), in_json=True)))
            case _:
                return part

    def _message(self, message: dict[str, Json]) -> dict[str, Json]:
        parts = message["parts"] if isinstance(message["parts"], list) else []
        redacted: dict[str, Json] = {"parts": [self._part(part) for part in parts if isinstance(part, dict)]}
        if isinstance(message.get("instructions"), str):
            redacted["instructions"] = self._value(message["instructions"])
        return {**message, **redacted}

    def _part(self, part: dict[str, Json]) -> dict[str, Json]:
        # Thinking was never restored, so its placeholders are ours and not a caller's text that looks like one.
        if part.get("part_kind") == "thinking" and isinstance(thought := part.get("content"), str):
            return {**part, "content": self._finder.redact(thought, self._placeholders, by_model=True)}
        return {key: value if key in NOT_TEXT_KEYS else self._field(key, value) for key, value in part.items()}

    def _field(self, key: str, value: Json) -> Json:
        if key == "args":
            return self._arguments(value)
        if key in NAME_KEYS and isinstance(value, str):
            return self._name(value)
        if key == "content" and isinstance(value, list):
            return self._contents(value)
        return self._value(value)

    def _name(self, value: str) -> str:
        redacted = self._text(value)
        # Vendors reject a request if the name of a tool contains brackets.
        return value if redacted == value else NOT_IN_NAMES.sub("_", redacted)

    def _contents(self, contents: list[Json]) -> list[Json]:
        """Redact what one message consists of. A value may start in one text and end in the next."""
        redacted: list[Json] = []
        for is_text, group in groupby(contents, lambda item: isinstance(item, str)):
            items = list(group)
            redacted += (
                self._finder.redact_parts(map(str, items), self._placeholders) if is_text else map(self._value, items)
            )
        return redacted

    def _arguments(self, value: Json) -> Json:
        """Redact the arguments of a tool call, which some vendors represent as JSON in a string."""
        if not isinstance(value, str):
            return self._value(value)
        redacted = self._json(value)
        return self._text(value) if redacted is None else redacted

    def _json(self, text: str) -> str | None:
        """Redact each value in a JSON text. Return None if it is not JSON, or is nested too deeply to be read."""
        try:
            redacted = json.dumps(self._value(json.loads(text)), ensure_ascii=False)
            redacted.encode()  # half a surrogate pair may be read but not sent
        except (ValueError, RecursionError):
            return None
        return redacted

    def _settings(self, settings: ModelSettings | None) -> ModelSettings | None:
        if settings is None:
            return None
        redacted = {
            key: self._value(cast("Json", value))
            for key, value in settings.items()
            # Numbers and flags stay what they are: a temperature is no card number.
            if key != HEADERS_SETTING and isinstance(value, str | list | dict)
        }
        return settings | cast("ModelSettings", redacted)

    def _parameters(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        if not (parameters.instruction_parts or parameters.function_tools or parameters.output_tools):
            return parameters
        parts = [replace(part, content=self._text(part.content)) for part in parameters.instruction_parts or []]
        return replace(
            parameters,
            instruction_parts=parts or parameters.instruction_parts,
            function_tools=[self._tool(tool) for tool in parameters.function_tools],
            output_tools=[self._tool(tool) for tool in parameters.output_tools],
        )

    def _tool(self, tool: ToolDefinition) -> ToolDefinition:
        schema = {key: self._schema_item(key, value) for key, value in tool.parameters_json_schema.items()}
        description = tool.description and self._text(tool.description)
        return replace(tool, description=description, parameters_json_schema=schema)

    def _schema_item(self, key: str, value: Json) -> Json:
        if key in SCHEMA_TEXT_KEYS:
            return self._value(value)
        match value:
            case dict():
                return {name: self._schema_item(name, item) for name, item in value.items()}
            case list():
                return [self._schema_item("", item) for item in value]
            case _:
                return value

    def _value(self, value: Json) -> Json:
        match value:
            case str():
                return self._text(value)
            case bool() | None:
                return value
            case int() | float():  # such as a card number
                redacted = self._text(str(value))
                return value if redacted == str(value) else redacted
            case list():
                return [self._value(item) for item in value]
            case {"kind": str(kind)} if kind in ATTACHMENT_KINDS:
                raise InputNotAllowed(
                    f"An attachment ({kind}) cannot be searched for what destinations.*.redact requires"
                )
            case dict():
                # Keys are searched too: maps from an email address to something are common in tool results.
                return {self._text(key): self._keyed_value(key, item) for key, item in value.items()}
            case _:  # pyright: ignore[reportUnnecessaryComparison]
                return value

    def _keyed_value(self, key: str, value: Json) -> Json:
        """Redact a value together with its key, which may be what gives the value away: `{"password": "..."}`."""
        match value:
            case list():
                return [self._keyed_value(key, item) for item in value]
            case bool():
                return value
            case str() | int() | float():
                prefix = f"{key}: "
                redacted = self._text(f"{prefix}{value}")
                if not redacted.startswith(prefix):  # the key is sensitive itself
                    return self._value(value)
                redacted = redacted.removeprefix(prefix)
                return value if redacted == str(value) else redacted
            case _:
                return self._value(value)

    def _text(self, text: str) -> str:
        redacted = self._finder.redact(text, self._placeholders)
        if redacted == text or not _is_json(text) or _is_json(redacted):
            return redacted
        return self._json(text) or redacted  # a placeholder for a number is a string


def _is_json(text: str) -> bool:
    """Return whether a text is a JSON object or array."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
