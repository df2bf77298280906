"""Runs the starter evaluation of each shape and commits the accepted results to the template."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from copier import run_copy

ROOT = Path(__file__).parents[1]
ACCEPTED = "evals/accepted"


def chassis(project: Path, *arguments: str) -> int:
    """Run a command of the chassis in a project that is not installed, and return its exit code."""
    code = "from chassis.cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=project, env=environment, check=False
    ).returncode


def main() -> None:
    """Generate each shape, run its cases without a model, accept the results, and copy them into the template."""
    for shape in ("answer", "blank"):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / shape
            run_copy(str(ROOT), project, data={"shape": shape}, defaults=True, quiet=True, vcs_ref="HEAD")
            shutil.rmtree(project / ACCEPTED)  # a new project has accepted one run
            chassis(project, "evals", "run")
            if chassis(project, "evals", "accept") or chassis(project, "evals", "gate"):
                sys.exit(f"The starter evaluation of the shape {shape!r} failed")
            target = ROOT / "template" / f"{{{{ shape_{shape} }}}}" / ACCEPTED
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(project / ACCEPTED, target)


if __name__ == "__main__":
    main()
