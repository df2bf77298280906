"""Runs the command `chassis` in the process of the test."""

import pytest

from chassis.cli.main import main


def run(*arguments: str) -> int:
    """Run one command in the working directory and return its exit code."""
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    return int(exit_info.value.code or 0)
