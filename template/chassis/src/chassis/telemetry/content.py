"""Keeps what models were sent and what they replied, for `chassis trace --content`: in development only.

The texts are those that leave the process, so sensitive values are placeholders already. In production there is no such
log: `start_telemetry` does not create it, and nothing else can.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog
from opentelemetry import trace

from chassis.privacy.finder import hide_secrets

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

CONTENT_FILE = "content.jsonl"
MAX_BYTES = 8 * 1024 * 1024
"""When the file is larger, it becomes the former file, and what was the former file is deleted."""
MAX_TEXT = 20_000
"""The most characters of one part of a message; the rest is cut off."""

type Exchange = Mapping[str, Any]
"""One request and its reply: `time`, `trace_id`, `span_id`, `model`, `sent`, `reply` and `error`.

`sent` and `reply` are lists of `{"part": kind, "text": text}`.
"""

log = structlog.get_logger()


class ContentLog:
    """Appends each exchange with a model to a file that only this user can read.

    Args:
        path: The file. It is created with its folder when it is needed.
        max_bytes: The size at which a new file is begun.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._lock = threading.Lock()

    def record(
        self, model: str, sent: "Sequence[ModelMessage]", reply: "ModelResponse | None", error: BaseException | None
    ) -> str:
        """Append one exchange and return the reply as one text. Whatever goes wrong is logged, and the call goes on."""
        try:
            exchange = self._exchange(model, sent, reply, error)
            with self._lock:
                self._append(json.dumps(exchange, ensure_ascii=False).encode(errors="replace"))
        except Exception as problem:  # noqa: BLE001 - a reply may contain anything, and must not break a call here
            log.warning("content.not_stored", file=str(self._path), reason=type(problem).__name__)
            return ""
        return " ".join(part["text"] for part in exchange["reply"])[:MAX_TEXT]

    def _exchange(
        self, model: str, sent: "Sequence[ModelMessage]", reply: "ModelResponse | None", error: BaseException | None
    ) -> Exchange:
        span = trace.get_current_span().get_span_context()
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "trace_id": trace.format_trace_id(span.trace_id),
            "span_id": trace.format_span_id(span.span_id),
            "model": model,
            "sent": [part for message in sent for part in _parts(message)],
            "reply": list(_parts(reply)) if reply else [],
            "error": None if error is None else hide_secrets(f"{type(error).__name__}: {error}"[:MAX_TEXT]),
        }

    def _append(self, line: bytes) -> None:
        if self._path.exists() and self._path.stat().st_size > self._max_bytes:
            self._path.replace(former_file(self._path))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        with self._path.open("ab") as file:
            file.write(line + b"\n")


def former_file(path: Path) -> Path:
    """Return the file that holds the exchanges before those in `path`."""
    return path.with_name(f"{path.name}.1")


def load_exchanges(path: Path, trace_id: str) -> list[Exchange]:
    """Return the exchanges of one trace, oldest first; a line that cannot be read is left out."""
    files = [file for file in (former_file(path), path) if file.is_file()]
    lines = (line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    return [exchange for line in lines if (exchange := _loads(line)).get("trace_id") == trace_id]


def _loads(line: str) -> Exchange:
    try:
        exchange = json.loads(line)
    except ValueError:
        return {}
    return cast("Exchange", exchange) if isinstance(exchange, dict) else {}


def _parts(message: "ModelMessage") -> Iterator[dict[str, str]]:
    """Yield the kind and the text of each part of a message; of a tool call, its name and arguments."""
    if instructions := getattr(message, "instructions", None):
        yield {"part": "instructions", "text": hide_secrets(instructions[:MAX_TEXT])}
    for part in message.parts:
        content = getattr(part, "args", None) if part.part_kind.endswith("tool-call") else getattr(part, "content", "")
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)
        name = getattr(part, "tool_name", None)
        yield {"part": part.part_kind, "text": hide_secrets(f"{name}: {text}" if name else text)[:MAX_TEXT]}
