"""Run the benchmarks of some or all topics and print a table for each."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import fleet, generation, guard, ledger, profile, service, start, upkeep
from benchmarks.rounds import FULL, QUICK, Effort
from benchmarks.tables import Table, drawn

TOPICS: dict[str, Callable[[Effort], Table]] = {
    "fleet": fleet.measure,
    "generation": generation.measure,
    "guard": guard.measure,
    "ledger": ledger.measure,
    "profile": profile.measure,
    "service": service.measure,
    "start": start.measure,
    "upkeep": upkeep.measure,
}


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    options = parsed()
    console = Console()
    tables: list[Table] = []
    for topic in options.topics or TOPICS:
        with console.status(f"measuring {topic} …"):
            table = TOPICS[topic](QUICK if options.quick else FULL)
        console.print(drawn(table))
        tables.append(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(table) for table in tables], indent=2), encoding="utf-8")


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--topic", dest="topics", action="append", choices=TOPICS, help="only this; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one round of everything: does it run, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
