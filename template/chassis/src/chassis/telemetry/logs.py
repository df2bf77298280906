"""Configures logging: all lines, also those of libraries, go to one stream. In production they are JSON.

In production the message of an exception is left out, because libraries quote their input there, which may be a
caller's question. The type of the exception and its stack frames are logged.
"""

import logging
import os
import sys
from typing import Any, TextIO

import structlog
from structlog.processors import JSONRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from chassis.privacy.finder import hide_secrets
from chassis.telemetry.instruments import current_ids
from chassis.telemetry.log_line import RENDERING_ERRORS, LogStream, guarded, guarded_logger, safe_text

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
