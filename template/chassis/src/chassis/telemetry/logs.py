"""One stream of log lines, ours and every library's in the same shape: JSON in production, coloured on a terminal.

In production the message of an exception is left out, since libraries quote what they could not digest, and that may be
somebody's question; its type and the places it passed are kept.
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

from chassis.privacy.secrets import hide_secrets
from chassis.telemetry.context import current_ids

SPANS_SAY_IT_BETTER = ("httpx", "httpx2")
"""At INFO these write a line for every request that they send."""
READ_FIRST = ("timestamp", "level", "event", "call_id", "trace_id", "span_id")


def configure_logs(*, production: bool, stream: TextIO | None = None) -> None:
    """Send every log line of this process to one stream. Calling it again replaces what was configured.

    Args:
        production: JSON, one object a line; otherwise for the eyes of a developer.
        stream: Where to; standard error if not given, because standard output belongs to answers.
    """
    prepare: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.StackInfoRenderer(),
    ]
    render = _json_renderer() if production else _console_renderer(stream or sys.stderr)
    structlog.configure(
        processors=[*prepare, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.WriteLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,  # a cached logger would keep an earlier stream
    )
    handler = _SameStream(stream, level=logging.INFO)  # here too: at DEBUG, vendors' SDKs log whole requests
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *prepare],
            processors=[ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    for name in SPANS_SAY_IT_BETTER:
        logging.getLogger(name).setLevel(logging.WARNING)


class _SameStream(logging.Handler):
    """Writes the lines of libraries where ours go, under the same lock."""

    def __init__(self, stream: TextIO | None, level: int) -> None:
        super().__init__(level)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            structlog.WriteLogger(self._stream or sys.stderr).msg(self.format(record))
        except Exception:  # noqa: BLE001 - a line that cannot be written stops no request
            self.handleError(record)


def _json_renderer() -> list[Processor]:
    where = structlog.processors.ExceptionRenderer(_where_it_failed)
    return [where, _put_first_what_is_read_first, _hiding_secrets(JSONRenderer())]


def _console_renderer(stream: TextIO) -> list[Processor]:
    colors = stream.isatty() and "NO_COLOR" not in os.environ
    show = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [_hiding_secrets(show)]


def _add_trace(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    if ids := current_ids():
        line["trace_id"], line["span_id"] = ids
    return line


def _put_first_what_is_read_first(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    return {key: line[key] for key in READ_FIRST if key in line} | dict(line)


def _hiding_secrets(render: Processor) -> Processor:
    """Return a processor that looks at the finished line, so that nothing nested in it is overlooked."""

    def rendered(logger: WrappedLogger, method: str, line: EventDict) -> str:
        return hide_secrets(str(render(logger, method, line)))

    return rendered


def _where_it_failed(exc_info: ExcInfo) -> list[dict[str, Any]]:
    return _without_messages(ExceptionDictTransformer(show_locals=False)(exc_info))


def _without_messages(stacks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = ("exc_type", "is_cause", "frames")
    return [
        {key: stack[key] for key in kept}
        | ({"exceptions": [_without_messages(inner) for inner in stack["exceptions"]]} if stack["is_group"] else {})
        for stack in stacks
    ]
