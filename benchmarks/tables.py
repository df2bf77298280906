"""What a benchmark found, as a table on a screen."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.table import Table as Drawing


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant and its figures, by what they are called."""

    name: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """One topic.

    Args:
        title: What is compared.
        conditions: All that somebody needs to measure the same elsewhere.
        rows: The contestants; every row has the same figures.
    """

    title: str
    conditions: str
    rows: list[Row]


def compared(costs: Mapping[str, float], unit: str, base: str) -> list[Row]:
    """Return a row for each cost: itself, its ratio to that of `base`, and what it adds to it."""
    return [
        Row(name, {f"CPU {unit}": cost, f"x {base}": cost / costs[base], f"+ {unit}": cost - costs[base]})
        for name, cost in costs.items()
    ]


def python_version() -> str:
    """Return the interpreter, for the conditions."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def shown(figure: float) -> str:
    """Return a figure as a table shows it."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.2f}"


def drawn(table: Table) -> Group:
    """Return the table as rich prints it."""
    drawing = Drawing("", box=box.SIMPLE_HEAD)
    for figure in table.rows[0].figures:
        drawing.add_column(figure, justify="right")
    for row in table.rows:
        drawing.add_row(row.name, *map(shown, row.figures.values()))
    return Group(f"\n[bold]{table.title}[/]", f"[dim]{table.conditions}[/]", drawing)
