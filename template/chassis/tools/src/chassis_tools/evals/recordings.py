"""Recorded replies of models, keyed by the model and its request, so that an evaluation can be repeated offline."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.config.constraints import ModelConfig
from chassis.errors import ChassisError, ConfigError
from chassis.guard.request import Request
from chassis_tools.evals.identity import json_hash, model_identity
from chassis_tools.evals.jsonl import read_jsonl, to_json_line, write_jsonl
from chassis_tools.evals.records import ToolCall

FOLDER = "evals/recordings"
RESPONSE = TypeAdapter(ModelResponse)


class NotRecorded(ChassisError):
    """There is no recorded reply to a request, and a replay never asks a model."""


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """One line of a recording.

    Args:
        model: What `model_identity` says of the model: a reply belongs to one model at one address.
        key: The hash of the model and its request: the prompt, the settings and the tools.
        seconds: How long the model took; 0 in the line of a model that was not asked.
        reply: A `ModelResponse` as JSON; None in the line of a model that could not be asked.
        digest: The hash of the rest of the line, so that one that was edited is noticed.
    """

    model: str
    key: str
    seconds: float
    reply: dict[str, JsonValue] | None
    digest: str = ""

    def signed(self) -> "RecordedReply":
        """Return the line with its digest."""
        return replace(self, digest=json_hash([self.model, self.key, float(self.seconds), self.reply]))


@dataclass(slots=True)
class Recording:
    """The recorded replies of one suite.

    Args:
        path: Its file.
        replies: The recorded replies, by model and request.
        used: Those that this run needed.
        is_on_disk: Whether the file has all of `replies`, so that one more can be appended.
    """

    path: Path
    replies: dict[tuple[str, str], RecordedReply]
    used: dict[tuple[str, str], RecordedReply] = field(default_factory=dict)
    is_on_disk: bool = False

    @classmethod
    def load(cls, root: Path, suite: str) -> "Recording":
        """Read the recording of a suite; without a file it is empty.

        Raises:
            ConfigError: A line is not a recorded reply, or was edited.
        """
        path = root / FOLDER / f"{suite}.jsonl"
        remedy = f"Remove the file, and run `chassis evals record {suite}`"
        replies = read_jsonl(path, RecordedReply, remedy, may_be_cut=True)
        for number, reply in enumerate(replies, start=1):
            if reply != reply.signed():
                raise ConfigError(f"{FOLDER}/{suite}.jsonl line {number}", "the line was edited by hand", remedy)
        return cls(path, {(reply.model, reply.key): reply for reply in replies})

    def replayable(self, models: Sequence[ModelConfig]) -> list[ModelConfig]:
        """Return the models of a chain that a replay puts in front of the service.

        A model that could not be asked when the recording was made, for want of a key, is left out again. Every other
        one is in the chain, so that a model that was added or exchanged since finds no reply.
        """
        if not self.replies:
            return []
        return [config for config in models if (model_identity(config), UNASKED) not in self.replies]

    def note_unasked(self, models: Sequence[ModelConfig]) -> None:
        """Note the models of the chain that cannot be asked while the recording is made."""
        for key in [key for key in self.replies if key[1] == UNASKED]:
            del self.replies[key]
        for config in models:
            key = (model_identity(config), UNASKED)
            self.replies[key] = self.used[key] = RecordedReply(*key, 0.0, None).signed()

    def add(self, reply: RecordedReply) -> None:
        """Add a reply and write it to disk at once: it was paid for, and the run may be stopped."""
        self.replies[reply.model, reply.key] = reply
        if self.is_on_disk:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(to_json_line(reply))
        else:  # also because the last line on disk may have been cut off
            write_jsonl(self.path, self.replies.values())
            self.is_on_disk = True

    def prune(self) -> None:
        """Keep only the replies that this run needed, sorted so that diffs stay small."""
        write_jsonl(self.path, [self.used[key] for key in sorted(self.used)])


UNASKED = "unasked"
"""The key of the line that notes that a model could not be asked when the recording was made."""


@dataclass(slots=True)
class Observation:
    """What the models of one trial did.

    Args:
        recorded_seconds: How long the replies took when they were recorded; 0 for those of this run.
        tool_calls: The tools that the models called, in order.
    """

    recorded_seconds: float = 0.0
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])


class ObservedModel(WrapperModel):
    """A model whose tool calls are noted for the trial that it answers.

    Args:
        wrapped: The model.
        observed: The notes.
    """

    def __init__(self, wrapped: Model, observed: Observation) -> None:
        super().__init__(wrapped)
        self._observed = observed

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the reply of the model."""
        response = await self._reply(messages, model_settings, model_request_parameters)
        calls = (part for part in response.parts if isinstance(part, ToolCallPart))
        self._observed.tool_calls.extend(ToolCall(part.tool_name, _arguments(part)) for part in calls)
        return response

    async def _reply(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> ModelResponse:
        if isinstance(self.wrapped, RecordedModel):
            response, seconds = await self.wrapped.replay(messages, settings, parameters)
            self._observed.recorded_seconds += seconds
            return response
        return await self.wrapped.request(messages, settings, parameters)


class RecordedModel(WrapperModel):
    """A model whose replies come from a recording.

    Args:
        wrapped: The real model.
        identity: What `model_identity` says of it.
        recording: The recorded replies.
        may_ask: Whether a missing reply is asked for and recorded.
    """

    def __init__(self, wrapped: Model, identity: str, recording: Recording, *, may_ask: bool) -> None:
        super().__init__(wrapped)
        self._identity, self._recording, self._may_ask = identity, recording, may_ask

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the recorded reply; see `replay`."""
        response, _ = await self.replay(messages, model_settings, model_request_parameters)
        return response

    async def replay(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> tuple[ModelResponse, float]:
        """Return the recorded reply, and the seconds that it took; 0 if it was recorded just now.

        Raises:
            NotRecorded: There is none, and the model may not be asked.
        """
        key = (self._identity, _request_key(self._identity, messages, settings, parameters))
        reply, seconds = self._recording.replies.get(key), 0.0
        if reply is not None:
            seconds = reply.seconds
        elif not self._may_ask:
            raise NotRecorded(self._identity)
        else:
            started = time.monotonic()
            response = await self.wrapped.request(messages, settings, parameters)
            took = round(time.monotonic() - started, 3)
            reply = RecordedReply(*key, took, RESPONSE.dump_python(response, mode="json")).signed()
            self._recording.add(reply)
        self._recording.used[key] = reply
        # Not the model's own response: a recording run and its replays then see exactly the same reply.
        return RESPONSE.validate_python(reply.reply), seconds


def _request_key(
    model: str, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> str:
    # The headers that join a request to its trace differ each time and do not change the reply.
    stable: Any = {name: value for name, value in (settings or {}).items() if name != "extra_headers"}
    return hashlib.sha256(model.encode() + Request(messages, stable, parameters).canonical).hexdigest()


def _arguments(part: ToolCallPart) -> JsonValue:
    """Return the arguments of a tool call; as text if they are no JSON."""
    if not isinstance(part.args, str):
        return part.args
    try:
        return json.loads(part.args)
    except ValueError:
        return part.args
