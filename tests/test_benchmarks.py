"""The benchmarks still run; how fast anything is, no test asks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from answer_sets import ROOT


@pytest.mark.slow
def test_every_contestant_has_figures(tmp_path: Path) -> None:
    """One quick round of all topics measures something of each contestant, and writes it down."""
    figures, page = tmp_path / "figures.json", tmp_path / "speed.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(figures), "--page", str(page)]
    subprocess.run(command, cwd=ROOT, check=True)

    tables = json.loads(figures.read_text(encoding="utf-8"))
    costs = {
        (row["name"], figure): value
        for table in tables
        for row in table["rows"]
        for figure, value in row["figures"].items()
        if not figure.startswith(("+", "own", "exponent"))  # a difference, which may be anything
    }

    assert len(tables) == 12
    assert "## Goals: " in page.read_text(encoding="utf-8")
    assert all(f"## {table['title']}\n" in page.read_text(encoding="utf-8") for table in tables)
    assert len(costs) > 30
    assert [cost for cost, value in costs.items() if value <= 0] == []
    asked = {name for name, figure in costs if figure == "calls/s, 100 at once"}
    assert asked >= {"httpx2", "openai SDK", "pydantic-ai", "ours, everything off", "ours, full, on SQLite"}
    served = {name for name, figure in costs if figure == "requests/s"}
    assert served >= {f"ours, as generated, {callers} at once" for callers in (1, 10, 50, 100)}
    grown = {name for name, figure in costs if figure == "µs then"}
    assert grown >= {"passages that are searched", "accounts, and reservations", "stored spans"}


@pytest.mark.slow
def test_evaluating_is_measured_too(tmp_path: Path) -> None:
    """Every contestant of `make bench-evals` runs, and a large run is judged in less than 500 MB."""
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.evaluation", "--rounds", "1", "--json", str(figures)]
    subprocess.run(command, cwd=ROOT, check=True)

    asked, judged = json.loads(figures.read_text(encoding="utf-8")).values()

    assert len(asked) == 4
    assert all(value > 0 for row in asked.values() for value in row.values())
    assert max(row["peak MB"] for row in judged.values()) < 500
