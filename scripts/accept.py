"""Write down what the starter evaluation of each shape gives, as the run that a new service is compared with."""

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
    """Run one command in a project that is not installed."""
    code = "from chassis.cli.main import main; main()"
    places = os.environ | {"PYTHONPATH": str(project / "src")}
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=project, env=places, check=False).returncode


def main() -> None:
    """Generate each shape, run its cases without a model, accept the run, and copy it into the template."""
    for shape in ("answer", "blank"):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / shape
            run_copy(str(ROOT), project, data={"shape": shape}, defaults=True, quiet=True, vcs_ref="HEAD")
            chassis(project, "evals", "run")
            if chassis(project, "evals", "accept") or chassis(project, "evals", "gate"):
                sys.exit(f"The starter evaluation of the shape {shape!r} does not pass")
            kept = ROOT / "template" / f"{{{{ shape_{shape} }}}}" / ACCEPTED
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(project / ACCEPTED, kept)


if __name__ == "__main__":
    main()
