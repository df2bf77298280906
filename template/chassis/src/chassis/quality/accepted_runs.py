"""The accepted evaluation runs of a repository: how each rate has changed from one accepted run to the next.

`chassis evals accept` adds a line to `evals/accepted/SUITE/history.jsonl`. These files are the only part of `evals/` in
the image: they have rates and hashes, and no question or answer.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

HISTORIES = "evals/accepted/*/history.jsonl"
LATEST_RUNS = 20
"""The number of runs of a suite that are shown."""


@dataclass(frozen=True, slots=True)
class RateTrend:
    """One rate over the latest accepted runs of a suite, oldest first.

    Args:
        suite: The name of the suite.
        evaluator: The name of the evaluator.
        days: The day of each run.
        rates: The mean score of each run, from 0 to 1.
    """

    suite: str
    evaluator: str
    days: tuple[date, ...]
    rates: tuple[float, ...]


def load_trends(root: Path) -> list[RateTrend]:
    """Return each rate of each suite in the repository at `root`, by name. A line that is no run is left out."""
    return [trend for file in sorted(root.glob(HISTORIES)) for trend in _trends(file)]


def _trends(file: Path) -> Iterator[RateTrend]:
    runs = list(_runs(file))[-LATEST_RUNS:]
    for evaluator in sorted({name for _, rates in runs for name in rates}):
        days, values = zip(*((day, rates[evaluator]) for day, rates in runs if evaluator in rates), strict=True)
        yield RateTrend(file.parent.name, evaluator, days, values)


def _runs(file: Path) -> Iterator[tuple[date, Mapping[str, float]]]:
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            run: Any = json.loads(line)
            rates = cast("Mapping[str, Any]", run["rates"])
            yield date.fromisoformat(run["started"][:10]), {name: float(rate) for name, rate in rates.items()}
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            continue  # written by hand or by another release; the gate reports it
