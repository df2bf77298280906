"""Copier without what takes most of its time here and changes no file, in this process or as the `copier` of a test."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

from copier import _template
from copier._cli import CopierApp
from copier._main import Worker
from jinja2 import Environment

QUICK_COPIER = f"{sys.executable} {__file__}"
"""The command, for a shell."""


@contextmanager
def quick_copier() -> Generator[None]:
    """Spare Copier what takes half of its time and changes no file here.

    It renders each part of each path, most of which have no braces, compiles those that do again and again, renders the
    path of the answers file for each of them, reads the questions at least six times in an update, and starts git for
    each file to ask whether `core.fileMode` is off, which it is not.
    """
    with (
        patch.object(Environment, "compile", _compile_once),
        patch.object(Worker, "_render_string", _render_braces),
        patch.object(Worker, "answers_relpath", property(_answers_relpath)),
        patch.object(_template, "load_template_config", _load_questions_once),
        patch.object(Worker, "_sync_git_index_executable_bit"),
    ):
        yield


def write_quick_copier(folder: Path) -> None:
    """Write a program that is called `copier`."""
    program = folder / "copier"
    program.write_text(f'#!/bin/sh\nexec {QUICK_COPIER} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


_RENDER_STRING = Worker._render_string  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
_RENDER_ANSWERS_RELPATH = Worker.answers_relpath
_COMPILE = Environment.compile
_LOAD_QUESTIONS = _template.load_template_config
_COMPILED: dict[tuple[str, str | None, str | None], CodeType] = {}
_QUESTIONS: dict[bytes, dict[str, Any]] = {}


def _render_braces(worker: Worker, string: str, extra_context: dict[str, Any] | None = None) -> str:
    return _RENDER_STRING(worker, string, extra_context) if "{" in string else string


def _answers_relpath(worker: Worker) -> Path:
    path = worker.answers_file or worker.template.answers_relpath
    return _RENDER_ANSWERS_RELPATH.__get__(worker) if "{" in str(path) else Path(path)


def _load_questions_once(path: Path, quiet: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Copier's
    content = path.read_bytes()
    if content not in _QUESTIONS:
        _QUESTIONS[content] = _LOAD_QUESTIONS(path, quiet)
    return deepcopy(_QUESTIONS[content])


def _compile_once(
    environment: Environment, source: str, name: str | None = None, filename: str | None = None
) -> CodeType:
    key = (source, name, filename)
    if key not in _COMPILED:
        _COMPILED[key] = _COMPILE(environment, source, name, filename)
    return _COMPILED[key]


if __name__ == "__main__":
    with quick_copier():
        CopierApp.run()
