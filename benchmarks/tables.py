"""What a benchmark found, as a table on a screen."""

import platform
from collections.abc import Iterable, Mapping
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
class Goal:
    """A figure that should be below a bound, or above it.

    Args:
        what: The row and the figure.
        found: The figure.
        bound: What it should be at most.
        at_least: Whether the bound is the least that it should be.
    """

    what: str
    found: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Return whether the figure is on the right side of the bound."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def __str__(self) -> str:
        """Return one line about it."""
        return f"{'met' if self.met else 'missed'}: {self.what} {shown(self.found)}, goal {shown(self.bound)}"


@dataclass(frozen=True, slots=True)
class Table:
    """One topic.

    Args:
        title: What is compared.
        conditions: All that somebody needs to measure the same elsewhere.
        rows: The contestants.
        goals: What the figures should be.
    """

    title: str
    conditions: str
    rows: list[Row]
    goals: list[Goal] = field(default_factory=list[Goal])


def compared(costs: Mapping[str, float], unit: str, base: str) -> list[Row]:
    """Return a row for each cost: itself, its ratio to that of `base`, and what it adds to it."""
    return [
        Row(name, {f"CPU {unit}": cost, f"x {base}": cost / costs[base], f"+ {unit}": cost - costs[base]})
        for name, cost in costs.items()
    ]


def goals(rows: Iterable[Row], figure: str, bound: str = "goal", *, at_least: bool = False) -> list[Goal]:
    """Return a goal for each row in which a bound stands beside a figure."""
    bounded = (row for row in rows if bound in row.figures and figure in row.figures)
    return [Goal(f"{row.name}, {figure}", row.figures[figure], row.figures[bound], at_least) for row in bounded]


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
    return Group(f"\n[bold]{table.title}[/]", f"[dim]{table.conditions}[/]", drawing, *map(str, table.goals))


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
    ]
    return "\n".join(lines).rstrip() + "\n"


def goals_in_markdown(tables: Iterable[Table]) -> str:
    """Return all goals, as the first section of a page."""
    every = [goal for table in tables for goal in table.goals]
    lines = [
        f"## Goals: {sum(goal.met for goal in every)} of {len(every)} met",
        "",
        "| | found | goal | |",
        "|---|---|---|---|",
        *(
            f"| {goal.what} | {shown(goal.found)} | {'≥' if goal.at_least else '≤'} {shown(goal.bound)} "
            f"| {'met' if goal.met else '**missed**'} |"
            for goal in every
        ),
    ]
    return "\n".join(lines) + "\n"


def _columns(table: Table) -> list[str]:
    return list(dict.fromkeys(figure for row in table.rows for figure in row.figures))


def _line(row: Row, columns: list[str]) -> str:
    cells = (shown(row.figures[name]) if name in row.figures else "" for name in columns)
    return f"| {row.name} | " + " | ".join(cells) + " |"
