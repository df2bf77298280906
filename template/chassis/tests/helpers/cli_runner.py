"""The command `chassis`, run in the process of the test."""

import pytest

from chassis.cli.main import main


def run(*arguments: str) -> int:
    """Run one command in the working directory and return its exit code."""
    with pytest.raises(SystemExit) as ending:
        main(arguments)
    return int(ending.value.code or 0)
