"""Prints what commands report: as JSON, or safe for a terminal. No closed stream ends a command."""

import json
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
"""The option of every command that reports something."""

STYLE = re.compile("\x1b\\[[0-9;]*m")
"""Colors and weights, which the commands use themselves on a terminal."""
CONTROL = re.compile("(?!\n|\t|\r\n)[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that change the direction of text, and halves of characters, which no stream can encode."""


def escaped(text: str, *, keep_styles: bool = False) -> str:
    r"""Return a text whose control characters are visible, such as `\u001b`, which is their form in JSON too.

    Args:
        text: The text, in which callers, models and documents may have written anything.
        keep_styles: Whether colors stay as they are.
    """
    if not keep_styles:
        return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    styles = STYLE.findall(text)
    parts = [escaped(part) for part in STYLE.split(text)]
    return "".join(part + style for part, style in zip(parts, [*styles, ""], strict=True))


def plain_console() -> Console:
    """Return a console that shows every text as it is: `:key:` is no picture, and `[red]` no color."""
    return Console(markup=False, emoji=False, highlight=False)


def print_json(value: object) -> None:
    """Print a value as JSON: dataclasses as objects, times in ISO 8601, numbers that JSON lacks as null."""
    from pydantic_core import to_jsonable_python

    # The standard library also takes the halves of characters in paths that are not UTF-8; the stream escapes them.
    typer.echo(json.dumps(to_jsonable_python(value, inf_nan_mode="null"), indent=2, ensure_ascii=False))


class EscapingStream:
    """A text stream that escapes what is written to it, and is otherwise the stream that it was made of.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._keep_styles = stream.isatty()

    def write(self, text: str) -> int:
        """Write a text and return its length."""
        self._stream.write(escaped(text, keep_styles=self._keep_styles))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def protected_streams() -> Generator[None]:
    """Escape what this process writes to its standard streams while the context lasts.

    Characters that their encoding lacks are escaped too. At the end, what a stream no longer takes is dropped: Python
    would exit with another code if it could not flush.
    """
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_protected, streams)
    try:
        yield
    finally:
        for stream in filter(None, streams):
            _flush_or_drop(stream)
        sys.stdout, sys.stderr = streams


def _protected(stream: TextIO | None) -> Any:
    if stream is None:  # the process was started without it
        return None
    if reconfigure := getattr(stream, "reconfigure", None):  # a stream that a test has put there may have none
        reconfigure(errors="backslashreplace")
    return EscapingStream(stream)


def _flush_or_drop(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except ValueError:  # it is closed
        pass
