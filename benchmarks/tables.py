"""What a benchmark found, as a table on a screen."""

import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, Group
from rich.table import Column
from rich.table import Table as Drawing

WIDTH = 120
"""Of a table that goes to no terminal: no column is cut off there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant and its figures, by what they are called; what does not apply to it is left out."""

    name: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """One topic.

    Args:
        title: What is compared.
        conditions: All that somebody needs to measure the same elsewhere.
        rows: The contestants.
        notes: Which goals were missed.
    """

    title: str
    conditions: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list[str])


def compared(costs: Mapping[str, float], unit: str, base: str) -> list[Row]:
    """Return a row for each cost: itself, its ratio to that of `base`, and what it adds to it."""
    return [
        Row(name, {f"CPU {unit}": cost, f"x {base}": cost / costs[base], f"+ {unit}": cost - costs[base]})
        for name, cost in costs.items()
    ]


def missed(rows: Iterable[Row], figure: str, goal: str = "goal") -> Iterator[str]:
    """Say of which rows a figure is above the goal that stands beside it."""
    for row in rows:
        found, wanted = row.figures.get(figure, 0), row.figures.get(goal, math.inf)
        if found > wanted:
            yield f"missed: {row.name}, {figure} {found:.2f}, goal {wanted:.2f}"


def python_version() -> str:
    """Return the interpreter, for the conditions."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def shown(figure: float) -> str:
    """Return a figure as a table shows it."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.2f}"


def console() -> Console:
    """Return where tables are printed."""
    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDTH)


def drawn(table: Table) -> Group:
    """Return the table as rich prints it."""
    drawing = Drawing(Column("", no_wrap=True), box=box.SIMPLE_HEAD)
    columns = _columns(table)
    for figure in columns:
        drawing.add_column(figure, justify="right", min_width=5)
    for row in table.rows:
        drawing.add_row(row.name, *(shown(row.figures[name]) if name in row.figures else "" for name in columns))
    return Group(f"\n[bold]{table.title}[/]", f"[dim]{table.conditions}[/]", drawing, *table.notes)


def in_markdown(table: Table) -> str:
    """Return the table as a section of a page."""
    columns = _columns(table)
    lines = [
        f"## {table.title}",
        "",
        f"{table.conditions}.",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(_line(row, columns) for row in table.rows),
        "",
        *(f"- {note}" for note in table.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _columns(table: Table) -> list[str]:
    return list(dict.fromkeys(figure for row in table.rows for figure in row.figures))


def _line(row: Row, columns: list[str]) -> str:
    cells = (shown(row.figures[name]) if name in row.figures else "" for name in columns)
    return f"| {row.name} | " + " | ".join(cells) + " |"
