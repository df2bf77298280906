"""The first answer on a new machine does not cost a long download."""

import subprocess
import sys
from pathlib import Path

import pytest
from answer_sets import ROOT
from demo import wheel_bytes
from shell import Shell

pytestmark = pytest.mark.slow

MOST_BYTES = 95e6
"""Of the 150 MB that a new machine may download; the rest is for uv (17 MB) and, where there is none, a Python."""


def test_the_demo_downloads_little(set_up_project: Shell, tmp_path: Path) -> None:
    """It installs two environments: Copier's here, and the service's with the tools of its checks."""
    sync = ["uv", "sync", "--quiet", "--frozen", "--only-group", "template", "--python", sys.executable]
    for_copier = set_up_project.environment | {"UV_PROJECT_ENVIRONMENT": str(tmp_path)}
    subprocess.run(sync, cwd=ROOT, env=for_copier, check=True)

    environments = {tmp_path: ROOT, set_up_project.folder / ".venv": set_up_project.folder}
    sizes = [wheel_bytes(environment, project / "uv.lock") for environment, project in environments.items()]

    assert all(size > 1e6 for size in sizes)
    assert sum(sizes) < MOST_BYTES
