"""Configures logging: all lines, also those of libraries, go to one stream. In production they are JSON.

In production the message of an exception is left out, because libraries quote their input there, which may be a
caller's question. The type of the exception and its stack frames are logged.
"""

import logging
import math
import os
import select
import stat
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from itertools import islice
from threading import Lock
from typing import Any, TextIO, cast

import structlog
from structlog.processors import JSONRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor, WrappedLogger

from chassis.contract import Json
from chassis.privacy.finder import hide_secrets
from chassis.telemetry.instruments import current_ids

# Nothing in a log line can raise: a value that cannot be shown costs the value or the line, never the call.
MAX_LINE_LENGTH = 64 * 1024
"""In characters: enough for the stack frames of a chain of exceptions. Values of a longer line are cut."""
CUT_LENGTH = 8 * 1024
"""How much of all values together stays in a line that is too long or cannot be rendered as it is. In characters, of
which JSON may need twelve for one."""
MAX_ITEMS, MAX_DEPTH = 100, 8
ITEM_LENGTH = 8
"""What an item counts besides its text, for quotes and separators."""
MAX_INTEGER = 2**63 - 1
LEVELS = {"log": "info", "msg": "info", "warn": "warning", "exception": "error", "fatal": "critical"}
"""The levels of the logger's methods that are not named after one."""
STALLED_MILLISECONDS = 100
"""How long one line waits for the reader of a full pipe. After that, lines are lost at once until there is room."""
RENDERING_ERRORS = (Exception, CancelledError, GeneratorExit, SystemExit)
"""What a value may raise while it is shown. No other code runs meanwhile, so none of them comes from elsewhere."""
METHODS = ("debug", "info", "warning", "error", "critical", *LEVELS)


class LogStream:
    """Writes rendered lines to a stream. A line that the stream does not take is lost and counted.

    Args:
        stream: Where to write, or None if the process has no such stream. Then every line is lost.
    """

    lost = 0
    """How many lines this process has lost. A process has one log, so all instances share the count."""
    _lock = Lock()
    _stalled = False
    _is_line_open = False

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        """Write one line. Lines of several threads do not mix."""
        if self._stream is None:
            return self.lose()
        try:
            with self._lock:
                self._write(self._stream, f"{line}\n")
        except Exception:  # noqa: BLE001 - a full disk, a closed or full pipe, a character that the encoding lacks
            self.lose()

    debug = info = warning = error = critical = write

    @classmethod
    def lose(cls) -> None:
        """Count a line as lost."""
        LogStream.lost += 1

    @classmethod
    def _write(cls, stream: TextIO, text: str) -> None:
        # A pipe whose reader has stopped would block the event loop, and with it the service.
        pipe = _pipe_of(stream)
        if pipe is None:
            stream.write(text)
            stream.flush()
            return
        stream.flush()  # what others have printed comes first
        # A line that was cut off must not swallow the next one.
        data = ("\n" * cls._is_line_open + text).encode(stream.encoding, stream.errors or "strict")
        # A pipe that has room at all takes PIPE_BUF bytes without blocking.
        for start in range(0, len(data), select.PIPE_BUF):
            cls._wait_for_room(pipe)
            os.write(pipe, data[start : start + select.PIPE_BUF])
            LogStream._is_line_open = start + select.PIPE_BUF < len(data)

    @classmethod
    def _wait_for_room(cls, pipe: int) -> None:
        poll = select.poll()
        poll.register(pipe, select.POLLOUT)
        LogStream._stalled = not poll.poll(0 if cls._stalled else STALLED_MILLISECONDS)
        if cls._stalled:
            raise TimeoutError


def _pipe_of(stream: TextIO) -> int | None:
    """Return the file descriptor of a stream that blocks while its reader does not read, otherwise None."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # it is in memory
        return None
    mode = os.fstat(number).st_mode
    return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def guarded_logger(level: int) -> type[FilteringBoundLogger]:
    """Return structlog's logger for lines of this level or higher, with methods that never raise.

    Its own raise if the arguments do not fit the text, or if a value is named like one of structlog's parameters.
    """
    base = structlog.make_filtering_bound_logger(level)
    methods: dict[str, Callable[..., Any]] = {name: _guarded(getattr(base, name), name) for name in METHODS}
    methods |= {f"a{name}": _guarded_async(getattr(base, f"a{name}"), name) for name in METHODS}
    return cast("type[FilteringBoundLogger]", type("GuardedLogger", (base,), methods))


def guarded(render: Processor) -> Processor:
    """Return a processor that renders the line. If that fails, or the line is too long, it cuts what is in it."""

    def rendered(logger: WrappedLogger, method: str, line: EventDict) -> str:
        problem = "the line is too long"
        try:
            text = str(render(logger, method, dict(line)))  # a copy, because renderers remove what they have rendered
            if len(text) <= MAX_LINE_LENGTH:
                return text
        except RENDERING_ERRORS as error:
            problem = type(error).__name__
        shown = _Cutter(CUT_LENGTH).cut_line(line) | {"log_error": problem}
        try:
            text = str(render(logger, method, dict(shown)))
        except RENDERING_ERRORS:  # the exception of the line cannot be shown
            text = str(render(logger, method, shown | {"exc_info": None}))
        return text

    return rendered


def _guarded(method: Callable[..., None], name: str) -> Callable[..., None]:
    @wraps(method)
    def write(logger: Any, *args: Any, **values: Any) -> None:
        try:
            method(logger, *args, **values)
        except RENDERING_ERRORS as error:
            _write_anyway(logger, name, args, values, error)

    return write


def _guarded_async(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(method)
    async def write(logger: Any, *args: Any, **values: Any) -> None:
        try:
            await method(logger, *args, **values)
        except Exception as error:  # noqa: BLE001 - a cancellation may be real here
            _write_anyway(logger, name, args, values, error)

    return write


def _write_anyway(logger: Any, name: str, args: tuple[Any, ...], values: dict[str, Any], error: BaseException) -> None:
    """Write what was given to a method that raised: under a key of its own, so that no name can be taken."""
    exc_info = values.pop("exc_info", name == "exception")
    event, *rest = args or ("",)
    line = {"arguments": rest, "values": values, "log_error": type(error).__name__, "exc_info": exc_info}
    try:
        logger._proxy_to_logger(LEVELS.get(name, name), event, **line)  # noqa: SLF001 - as structlog's own methods do
    except RENDERING_ERRORS:
        LogStream.lose()


class _Cutter:
    """Turns values into ones that every renderer can show, and that are short."""

    def __init__(self, length: int) -> None:
        self._left = length

    def cut_line(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Return a line with the same keys, as far as there is room."""
        return {self._text(key): value if key == "exc_info" else self._value(value) for key, value in line.items()}

    def _value(self, value: object, depth: int = MAX_DEPTH) -> Json:
        try:
            return self._item(value, depth)
        except RENDERING_ERRORS:  # a subclass of a list or a number can do anything
            return self._text(value)

    def _item(self, value: object, depth: int) -> Json:
        match value:
            case None | bool():
                return value
            case int() if -MAX_INTEGER <= value <= MAX_INTEGER:
                return int(value)
            case float() if math.isfinite(value):
                return float(value)
            case Mapping() if depth:
                items = cast("Mapping[object, object]", value).items()
                return {self._text(key): self._value(item, depth - 1) for key, item in self._some(items)}
            case list() | tuple() | set() | frozenset() if depth:
                return [self._value(item, depth - 1) for item in self._some(cast("Iterable[object]", value))]
            case _:
                return self._text(value)

    def _some[T](self, items: Iterable[T]) -> Iterator[T]:
        for item in islice(items, MAX_ITEMS):
            if self._left <= 0:
                return
            self._left -= ITEM_LENGTH
            yield item

    def _text(self, value: object) -> str:
        text = safe_text(value)
        shown = text[: max(0, self._left)]
        self._left -= len(shown)
        return shown if shown == text else f"{shown}…"


def safe_text(value: object) -> str:
    """Return a value as text, whatever its class does."""
    try:
        return str.__str__(value) if isinstance(value, str) else repr(value)
    except RENDERING_ERRORS:
        return f"<{type(value).__name__} that cannot be shown>"


QUIET_LOGGERS = ("httpx", "httpx2")
"""At INFO these log every request that they send, which spans already show."""
LEADING_KEYS = ("timestamp", "level", "event", "call_id", "trace_id", "span_id")
"""These come first in a JSON line."""


def configure_logs(*, production: bool, stream: TextIO | None = None) -> None:
    """Send every log line of this process to one stream. A second call replaces the first configuration.

    Args:
        production: Whether to write JSON, one object per line. Otherwise lines are formatted for a terminal.
        stream: Where to write. By default standard error, because standard output is for the output of commands.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.StackInfoRenderer(),
    ]
    render = _json_processors() if production else _console_processors(stream or sys.stderr)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=guarded_logger(logging.INFO),
        logger_factory=lambda *_: LogStream(stream or sys.stderr),
        cache_logger_on_first_use=False,  # a cached logger would keep writing to an earlier stream
    )
    # Lines of libraries arrive through the standard library. The formatter runs the same processors on them. The level
    # of the handler matters too: at DEBUG, the SDKs of vendors log whole requests, whatever level their loggers have.
    handler = _StreamHandler(stream, level=logging.INFO)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class _StreamHandler(logging.Handler):
    """Writes as structlog's loggers do."""

    def __init__(self, stream: TextIO | None, level: int) -> None:
        super().__init__(level)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._format(record)
        except RENDERING_ERRORS:  # a line that cannot be rendered must not stop a request
            LogStream.lose()
        else:
            LogStream(self._stream or sys.stderr).write(line)

    def _format(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except RENDERING_ERRORS as error:  # above all arguments that do not fit the text
            arguments, record.args = record.args, None
            record.msg = f"{safe_text(record.msg)} {safe_text(arguments)} ({type(error).__name__})"
            return self.format(record)


def _json_processors() -> list[Processor]:
    frames = structlog.processors.ExceptionRenderer(_frames_without_messages)
    return [frames, _put_leading_keys_first, guarded(_hiding_secrets(JSONRenderer(allow_nan=False)))]


def _console_processors(stream: TextIO | None) -> list[Processor]:
    colors = stream is not None and not stream.closed and stream.isatty() and "NO_COLOR" not in os.environ
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [guarded(_hiding_secrets(console))]


def _add_trace(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    if ids := current_ids():
        line["trace_id"], line["span_id"] = ids
    return line


def _put_leading_keys_first(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    return {key: line[key] for key in LEADING_KEYS if key in line} | dict(line)


def _hiding_secrets(render: Processor) -> Processor:
    """Return a processor that renders the line and hides secrets in the result, so that nested values count too."""

    def rendered(logger: WrappedLogger, method: str, line: EventDict) -> str:
        return hide_secrets(str(render(logger, method, line)))

    return rendered


def _frames_without_messages(exc_info: ExcInfo) -> list[dict[str, Any]]:
    try:
        return _without_messages(ExceptionDictTransformer(show_locals=False)(exc_info))
    except Exception as error:  # noqa: BLE001 - the exception is a class of the team or of a library
        return [{"exc_type": exc_info[0].__name__, "log_error": type(error).__name__}]


def _without_messages(stacks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the stacks of an exception and its causes with only the keys that cannot quote a question."""
    harmless = ("exc_type", "is_cause", "frames")
    return [
        {key: stack[key] for key in harmless}
        | ({"exceptions": [_without_messages(inner) for inner in stack["exceptions"]]} if stack["is_group"] else {})
        for stack in stacks
    ]
