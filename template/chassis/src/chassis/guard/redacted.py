"""Nothing sensitive leaves: what goes out carries placeholders, what comes back has the values again."""

from collections.abc import Collection
from dataclasses import replace

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Turn
from chassis.constraints import Sensitive
from chassis.guard.redaction import redact, restore
from chassis.types import Json

SPOKEN = frozenset({"content", "instructions", "args"})
"""The keys of a message under which words travel; the rest are kinds, ids and times."""


class Redacted(WrapperModel):
    """Asks the wrapped model with placeholders instead of sensitive values.

    Args:
        wrapped: The rest of the walk.
        kinds: What to replace: everything that any destination of the chain wants replaced.
        turn: Carries the placeholders, which last for the whole call.
    """

    def __init__(self, wrapped: Model, kinds: Collection[Sensitive], turn: Turn) -> None:
        super().__init__(wrapped)
        self._kinds = kinds
        self._placeholders = turn.call.placeholders

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Redact, ask, restore."""
        spoken = self._redact(ModelMessagesTypeAdapter.dump_python(messages, mode="json"), inside=False)
        response = await self.wrapped.request(
            ModelMessagesTypeAdapter.validate_python(spoken),
            model_settings,
            self._without_values(model_request_parameters),
        )
        return replace(response, parts=[self._restored(part) for part in response.parts])

    def _redact(self, value: Json, *, inside: bool) -> Json:
        match value:
            case str() if inside:
                return redact(value, self._kinds, self._placeholders)
            case list():
                return [self._redact(item, inside=inside) for item in value]
            case {"kind": "binary"}:
                return value
            case dict():
                return {key: self._redact(item, inside=inside or key in SPOKEN) for key, item in value.items()}
            case _:
                return value

    def _without_values(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        parts = [
            replace(part, content=redact(part.content, self._kinds, self._placeholders))
            for part in parameters.instruction_parts or []
        ]
        return replace(parameters, instruction_parts=parts or parameters.instruction_parts)

    def _restored(self, part: ModelResponsePart) -> ModelResponsePart:
        match part:
            case TextPart():
                return replace(part, content=restore(part.content, self._placeholders))
            case ToolCallPart(args=str() as args):
                return replace(part, args=restore(args, self._placeholders))
            case _:
                return part
