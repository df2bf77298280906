"""How long the report on a whole fleet takes."""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clones import make_fleet, make_template
from benchmarks.projects import ROOT
from benchmarks.rounds import Effort, cpu_seconds
from benchmarks.tables import Row, Table, goals, python_version

SIZES = (20, 200)
QUICK_SIZES = (3,)
GOAL = 15
"""CPU seconds for the large one."""


def measure(effort: Effort) -> Table:
    """Measure a small fleet and a large one; a quick round makes only a few clones."""
    sizes = SIZES if effort.rounds > 1 else QUICK_SIZES
    with TemporaryDirectory() as folder:
        template = make_template(Path(folder, "template"))
        rows = [measure_size(Path(folder, str(size)), template, size) for size in sizes]
    return Table(
        "Fleet report",
        f"{python_version()}; clones of three releases and three sets of answers, some neglected; table, JSON and "
        "page; once",
        rows,
        goals(rows, "CPU s"),
    )


def measure_size(folder: Path, template: Path, size: int) -> Row:
    """Make a fleet and return the wall-clock and CPU time of a report on it."""
    fleet = make_fleet(folder, template, size)
    seconds, cpu = report(fleet, template, folder)
    figures = {"seconds": seconds, "CPU s": cpu, "CPU ms each": cpu / size * 1e3}
    return Row(f"{size} repositories", figures | ({"goal": GOAL} if size == SIZES[-1] else {}))


def report(fleet: Path, template: Path, folder: Path) -> tuple[float, float]:
    """Run the command once; return its seconds and its CPU seconds."""
    outputs = ["--json", str(folder / "fleet.json"), "--html", str(folder / "fleet.html")]
    command = [sys.executable, "-m", "fleet", str(fleet), "--template", str(template), *outputs]
    started, before = time.monotonic(), cpu_seconds()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.monotonic() - started, cpu_seconds() - before
