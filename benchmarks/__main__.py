"""Run the benchmarks of some or all topics and print a table for each."""

import argparse
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import structlog

from benchmarks import drift, fleet, generation, growth, guard, ledger, profile, service, start, upkeep
from benchmarks.rounds import FULL, QUICK, Effort
from benchmarks.tables import Table, console, drawn, goals_in_markdown, in_markdown

TOPICS: dict[str, Callable[[Effort], Table | Iterable[Table]]] = {
    "drift": drift.measure,
    "fleet": fleet.measure,
    "generation": generation.measure,
    "growth": growth.measure,
    "guard": guard.measure,
    "ledger": ledger.measure,
    "profile": profile.measure,
    "service": service.measure,
    "start": start.measure,
    "start-steps": start.measure_steps,
    "upkeep": upkeep.measure,
}
PAGE = """# Speed

What the guard, the ledger, a start and a complete service cost, written by `make bench` on a machine with nothing else
to do. Unless a table says otherwise, figures are CPU time on one machine of unknown speed: compare the rows of a table
with each other only.
"""


def main() -> None:
    """Measure, print, and write JSON or a page if asked to."""
    options = parsed()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    screen = console()
    tables: list[Table] = []
    for topic in options.topics or TOPICS:
        with screen.status(f"measuring {topic} …"):
            measured = TOPICS[topic](QUICK if options.quick else FULL)
            of_topic = [measured] if isinstance(measured, Table) else [*measured]
        for table in of_topic:
            screen.print(drawn(table))
        tables += of_topic
    if options.page:
        options.page.write_text(
            "\n".join([PAGE, goals_in_markdown(tables), *map(in_markdown, tables)]), encoding="utf-8"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(table) for table in tables], indent=2), encoding="utf-8")


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--topic", dest="topics", action="append", choices=TOPICS, help="only this; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one round of everything: does it run, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables there too, in Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    main()
