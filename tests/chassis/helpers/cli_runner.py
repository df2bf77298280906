"""Runs the command `chassis` in the process of the test."""

import json
from typing import Any

import pytest
from chassis.cli.main import main


def run(*arguments: str) -> int:
    """Run one command in the working directory and return its exit code."""
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    return int(exit_info.value.code or 0)


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command with `--json`, expect an exit code, and return the object that it prints."""
    if (actual := run(*arguments, "--json")) != code:
        pytest.fail(f"chassis {' '.join(arguments)} --json exits with {actual} instead of {code}")
    return dict(json.loads(capsys.readouterr().out))
