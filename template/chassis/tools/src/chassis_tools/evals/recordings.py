"""Recorded replies of models, keyed by the hash of the request, so that an evaluation can be repeated offline."""

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.errors import ChassisError
from chassis.guard.request import Request
from chassis_tools.evals.jsonl import read_jsonl, to_json_line, write_jsonl

FOLDER = "evals/recordings"
RESPONSE = TypeAdapter(ModelResponse)


class NotRecorded(ChassisError):
    """There is no recorded reply to a request, and a replay never asks a model."""


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """One line of a recording.

    Args:
        model: The model's name in `constraints.toml`.
        key: The hash of the request.
        seconds: How long the model took.
        reply: A `ModelResponse` as JSON.
    """

    model: str
    key: str
    seconds: float
    reply: dict[str, JsonValue]


@dataclass(slots=True)
class Recording:
    """The recorded replies of one suite.

    Args:
        path: Its file.
        replies: The recorded replies, by model and request.
        used: Those that this run needed.
    """

    path: Path
    replies: dict[tuple[str, str], RecordedReply]
    used: dict[tuple[str, str], RecordedReply] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path, suite: str) -> "Recording":
        """Read the recording of a suite; without a file it is empty."""
        path = root / FOLDER / f"{suite}.jsonl"
        replies = read_jsonl(path, RecordedReply, f"Remove the file, and run `chassis evals record {suite}`")
        return cls(path, {(reply.model, reply.key): reply for reply in replies})

    @property
    def models(self) -> set[str]:
        """Return the names of the models that replied."""
        return {model for model, _ in self.replies}

    def add(self, reply: RecordedReply) -> None:
        """Add a reply and write it to disk at once: it was paid for, and the run may be stopped."""
        self.replies[reply.model, reply.key] = reply
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_json_line(reply))

    def prune(self) -> None:
        """Keep only the replies that this run needed, sorted so that diffs stay small."""
        write_jsonl(self.path, [self.used[key] for key in sorted(self.used)])


@dataclass(slots=True)
class Playback:
    """What one trial took from a recording.

    Args:
        seconds: How long its replies took when they were recorded.
    """

    seconds: float = 0.0


class RecordedModel(WrapperModel):
    """A model whose replies come from a recording.

    Args:
        wrapped: The real model.
        name: Its name in `constraints.toml`.
        recording: The recorded replies.
        may_ask: Whether a missing reply is asked for and recorded.
        playback: Where the recorded seconds are added up.
    """

    def __init__(
        self, wrapped: Model, name: str, recording: Recording, *, may_ask: bool, playback: Playback | None = None
    ) -> None:
        super().__init__(wrapped)
        self._name, self._recording, self._may_ask = name, recording, may_ask
        self._playback = playback or Playback()

    def for_trial(self, playback: Playback) -> "RecordedModel":
        """Return the same model for one trial, which adds up its recorded seconds in `playback`."""
        return RecordedModel(self.wrapped, self._name, self._recording, may_ask=self._may_ask, playback=playback)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the recorded reply.

        Raises:
            NotRecorded: There is none, and the model may not be asked.
        """
        key = (self._name, _request_key(messages, model_settings, model_request_parameters))
        reply = self._recording.replies.get(key)
        if reply is not None:
            self._playback.seconds += reply.seconds
        elif not self._may_ask:
            raise NotRecorded(self._name)
        else:
            started = time.monotonic()
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            seconds = round(time.monotonic() - started, 3)
            reply = RecordedReply(*key, seconds, RESPONSE.dump_python(response, mode="json"))
            self._recording.add(reply)
        self._recording.used[key] = reply
        # Not the model's own response: a recording run and its replays then see exactly the same reply.
        return RESPONSE.validate_python(reply.reply)


def _request_key(
    messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> str:
    # The headers that join a request to its trace differ each time and do not change the reply.
    stable: Any = {name: value for name, value in (settings or {}).items() if name != "extra_headers"}
    return hashlib.sha256(Request(messages, stable, parameters).canonical).hexdigest()
