"""The report for a terminal."""

from rich.console import Console
from rich.table import Table as Grid

from chassis_tools.evals.gate.result import GateVerdict
from chassis_tools.evals.report import tables
from chassis_tools.evals.report.report import Report, SuiteReport

COLOURS = {
    GateVerdict.PASS: "green",
    GateVerdict.FAIL: "red",
    GateVerdict.NO_EVIDENCE: "magenta",
    GateVerdict.INCONCLUSIVE: "yellow",
}
COLOUR_OF = {verdict.title: colour for verdict, colour in COLOURS.items()}


def show(report: Report, console: Console) -> None:
    """Print every suite and the verdict, the verdict last, where the eye is."""
    for suite in report.suites:
        _show_suite(suite, console)
    console.print(report.sentence, style=f"bold {COLOURS[report.verdict]}")


def _show_suite(suite: SuiteReport, console: Console) -> None:
    console.rule(f"{suite.name} ({suite.kind})", align="left", style="dim")
    shown = (tables.rules(suite), tables.rates(suite, tags=False), tables.weakest(suite), tables.cases(suite))
    for table in shown:
        if table.rows:
            console.print(_grid(table))
    for fact in tables.facts(suite):
        console.print(fact, style="dim")
    console.print()


def _grid(table: tables.Table) -> Grid:
    grid = Grid(*table.heads, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for row in table.rows:
        colour = next((COLOUR_OF[cell] for cell in row if cell in COLOUR_OF), None)
        grid.add_row(*row, style="red" if any(cell.startswith("▼") for cell in row) else colour)
    return grid
