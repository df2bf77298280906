"""Replies of models, recorded once under the hash of their request, so that an evaluation can be repeated offline."""

import hashlib
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.guard.request import Request
from chassis_tools.evals.jsonl import read_jsonl, to_json_line, write_jsonl

FOLDER = "evals/recordings"
REPLY = TypeAdapter(ModelResponse)


@dataclass(slots=True)
class Playback:
    """What one trial took from recordings.

    Args:
        seconds: How long its replies took when they were recorded.
        missing: Whether a reply was not there.
    """

    seconds: float = 0.0
    missing: bool = False


playback: ContextVar[Playback] = ContextVar("playback")
"""That of the running trial."""


class NotRecorded(Exception):
    """There is no recorded reply for a request, and a replay never asks."""


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """One line of a recording."""

    model: str
    key: str
    seconds: float
    reply: dict[str, JsonValue]


@dataclass(slots=True)
class Recording:
    """The recording of one suite.

    Args:
        path: Its file.
        known: Its replies, by model and request.
        used: Those that this run needed.
    """

    path: Path
    known: dict[tuple[str, str], RecordedReply]
    used: dict[tuple[str, str], RecordedReply] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path, suite: str) -> "Recording":
        """Read the recording of a suite; one that does not exist is empty."""
        path = root / FOLDER / f"{suite}.jsonl"
        lines = read_jsonl(path, RecordedReply, f"Remove it, and run `chassis evals record {suite}`")
        return cls(path, {(line.model, line.key): line for line in lines})

    @property
    def models(self) -> set[str]:
        """Return the names of the models that answered."""
        return {model for model, _ in self.known}

    def keep(self, line: RecordedReply) -> None:
        """Add a reply, on disk at once: it was paid for, and the run may be stopped."""
        self.known[line.model, line.key] = line
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_json_line(line))

    def save(self) -> None:
        """Keep only what this run needed, in an order that makes for small diffs."""
        write_jsonl(self.path, [self.used[key] for key in sorted(self.used)])


class RecordedModel(WrapperModel):
    """A model whose replies are on a tape.

    Args:
        wrapped: The real one.
        name: What constraints.toml calls it.
        tape: Where the replies are.
        may_ask: Whether a reply that is not on the tape is asked for and recorded.
    """

    def __init__(self, wrapped: Model, name: str, tape: Recording, *, may_ask: bool) -> None:
        super().__init__(wrapped)
        self._name, self._tape, self._may_ask = name, tape, may_ask

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the reply on the tape.

        Raises:
            NotRecorded: It is not there, and asking is not allowed.
        """
        key = (self._name, _key(messages, model_settings, model_request_parameters))
        line = self._tape.known.get(key)
        if line is None and not self._may_ask:
            playback.get().missing = True
            raise NotRecorded(self._name)
        if line is None:
            started = time.monotonic()
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            reply = REPLY.dump_python(response, mode="json")
            line = RecordedReply(*key, round(time.monotonic() - started, 3), reply)
            self._tape.keep(line)
        else:
            playback.get().seconds += line.seconds
        self._tape.used[key] = line
        return REPLY.validate_python(line.reply)


def _key(messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters) -> str:
    """Return a name for a request; the headers that join it to a trace differ each time and change nothing."""
    lasting: Any = {name: value for name, value in (settings or {}).items() if name != "extra_headers"}
    return hashlib.sha256(Request(messages, lasting, parameters).canonical).hexdigest()
