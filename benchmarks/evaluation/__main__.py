"""Prints the cost of an evaluation: `make bench-evals`. The first run installs pydantic-evals in its own environment.

Each contestant runs in its own process, so that peak memory can be compared. They take turns, and the round with the
least CPU time counts.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.evaluation.contest import ASLEEP, AT_ONCE, CASES
from benchmarks.evaluation.large import CASES as MANY
from benchmarks.evaluation.large import REPEATS, judge_many
from benchmarks.litellm_router import alone
from benchmarks.rounds import in_turn
from benchmarks.tables import Row, Table, console, drawn, goals, python_version

ROOT = Path(__file__).parents[2]
HERE = "benchmarks.evaluation"
RIVAL, OURS = "pydantic-evals alone", "chassis evals"
CONTESTANTS = {
    "plain asyncio": (sys.executable, "-m", f"{HERE}.plain"),
    RIVAL: alone("pydantic-evals>=2.62", "python", "-m", f"{HERE}.rival"),
    OURS: (sys.executable, "-m", f"{HERE}.ours", "--runner-alone"),
    "... of the whole service": (sys.executable, "-m", f"{HERE}.ours"),
}
COST, RATIO = "CPU ms per case", "x pydantic-evals"
GOALS = {OURS: {"goal": 1.2}}

type Figures = dict[str, float]


def main() -> None:
    """Measure, print, and write JSON if `--json` is given."""
    parser = argparse.ArgumentParser(prog="benchmarks.evaluation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    tables = [asking(options.rounds), judging()]
    for table in tables:
        console().print(drawn(table))
    if options.json:
        figures = {table.title: {row.name: dict(row.figures) for row in table.rows} for table in tables}
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


def asking(rounds: int) -> Table:
    """Let every contestant ask and score the cases."""
    best: dict[str, Figures] = {}
    for name, command in in_turn(CONTESTANTS, rounds):
        figures = _figures(command)
        best[name] = min(figures, best.get(name, figures), key=lambda each: each[COST])
    base = best[RIVAL][COST]
    rows = [
        Row(name, {COST: took[COST], RATIO: took[COST] / base} | GOALS.get(name, {}) | took)
        for name, took in best.items()
    ]
    conditions = (
        f"{python_version()}; a stub of {1000 * ASLEEP:g} ms, {AT_ONCE} at once; cheapest of {rounds} rounds;\n"
        "the last row asks the stub through every guard, and the baseline besides, so the machine is the bottleneck"
    )
    return Table(f"{CASES:,} cases and three evaluators", conditions, rows, goals(rows, RATIO))


def judging() -> Table:
    """Gate and report a finished run."""
    with TemporaryDirectory() as folder:
        rows = [Row(name, figures) for name, figures in judge_many(Path(folder)).items()]
    conditions = f"{python_version()}; {MANY:,} cases × {REPEATS}, compared with as many accepted; all formats"
    return Table(f"{MANY * REPEATS:,} records judged", conditions, rows)


def _figures(command: tuple[str, ...]) -> Figures:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
