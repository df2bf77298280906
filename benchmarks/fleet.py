"""How long the report on a whole fleet takes."""

import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from chassis.errors import ConfigError
from chassis_tools.readiness.check import CheckFailed, CheckUnknown, Repository
from chassis_tools.readiness.launch_review import CHECKS
from chassis_tools.updates.status import remembering_releases

from benchmarks.clones import make_fleet, make_template
from benchmarks.projects import ROOT
from benchmarks.rounds import Effort, cpu_seconds
from benchmarks.tables import Row, Table, goals, python_version
from fleet.inspection import inspect_source
from fleet.repositories import sources_in
from fleet.template import KNOWN_RELEASES, RememberedTemplate

SIZES = (20, 200)
QUICK_SIZES = (3,)
GOAL = 15
"""CPU seconds for the large one."""
CHECKS_SHOWN = 6


def measure(effort: Effort) -> Table:
    """Measure a small fleet and a large one; a quick round makes only a few clones."""
    sizes = SIZES if effort.rounds > 1 else QUICK_SIZES
    with TemporaryDirectory() as folder:
        template = make_template(Path(folder, "template"))
        rows = [measure_size(Path(folder, str(size)), template, size) for size in sizes]
        rows += measure_checks(Path(folder, f"{sizes[0]}/fleet"), template)
    return Table(
        "Fleet report",
        f"{python_version()}; clones of three releases and three sets of answers, some neglected; table, JSON and "
        "page; once; the checks are measured in one process, after another report has read all clones",
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


def measure_checks(fleet: Path, template: Path) -> list[Row]:
    """Run the checks on the clones of a fleet again, one by one; return the time of each for one clone."""
    known, today = RememberedTemplate(template / ".git"), datetime.now(UTC).date()
    sources = list(sources_in([fleet]))
    for source in sources:
        inspect_source(source, known, today)
    costs: defaultdict[str, float] = defaultdict(float)
    with remembering_releases(KNOWN_RELEASES):
        for source in sources:
            repository = Repository(source.path, today)
            for check in CHECKS:
                before = cpu_seconds()
                with suppress(CheckFailed, CheckUnknown, ConfigError, OSError, ValueError):  # some are neglected
                    check.check(repository)
                costs[check.title] += (cpu_seconds() - before) / len(sources) * 1e3
    ordered = sorted(costs, key=lambda name: -costs[name])
    shown = {f"of one: {name}": costs[name] for name in ordered[:CHECKS_SHOWN]}
    shown["of one: all other checks"] = sum(costs[name] for name in ordered[CHECKS_SHOWN:])
    return [Row(name, {"CPU ms each": milliseconds}) for name, milliseconds in shown.items()]
