"""Schemathesis, a stranger to this project, reads /openapi.json and tries to catch the service in a contradiction."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from running_service import Service
from shell import isolated_command

pytestmark = pytest.mark.slow

SCHEMATHESIS = "schemathesis==4.32.5"
OPTIONS = ("--checks", "all", "--max-examples", "25", "--seed", "1", "--no-color")


def test_schemathesis(service: Service, tmp_path: Path) -> None:
    """All checks, on every operation, with good input and bad, find nothing."""
    stranger = replace(service.project, folder=tmp_path)
    found = stranger.try_run(
        *isolated_command(SCHEMATHESIS, "schemathesis", "run", f"{service.address}/openapi.json"),
        *OPTIONS,
        *service.authorized(),
    )
    assert found.returncode == 0, found.stdout
    assert "No issues found" in found.stdout
    assert re.search(r"Selected: (\d+)/\1\n +Tested: \1\n", found.stdout), found.stdout
    assert service.logged("request.failed") == []
