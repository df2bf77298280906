"""`chassis ready`: the launch review, carried out."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from chassis.clock import now

if TYPE_CHECKING:
    from chassis_tools.readiness.review import Review

COLOURS = {"pass": "green", "fail": "red", "unknown": "yellow", "waived": "blue"}
MARKS = {"pass": "✓", "fail": "✗", "unknown": "?", "waived": "~"}


class Form(StrEnum):
    """How the review is written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    MARKDOWN = "markdown"


def ready(
    form: Annotated[Form, typer.Option("--format", help="How it is written")] = Form.TEXT,
    output: Annotated[Path | None, typer.Option(help="A file to write to, instead of the screen")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show what passes, too")] = False,
) -> None:
    """Review the repository for launch: the level it reaches, and what is in the way; exit with 1 if anything is."""
    from chassis.config.project import find_project
    from chassis_tools.readiness import forms
    from chassis_tools.readiness.review import review

    found = review(find_project().root, now().date())
    if form is Form.TEXT:
        _show(found, every=every)
    else:
        text = {Form.JSON: forms.as_json, Form.SARIF: forms.as_sarif, Form.MARKDOWN: forms.as_markdown}[form](found)
        if output is None:
            typer.echo(text, nl=False)
        else:
            output.write_text(text, encoding="utf-8")
    raise typer.Exit(1 if found.blocking else 0)


def _show(found: "Review", *, every: bool) -> None:
    from chassis_tools.readiness.forms import headline

    console = Console(highlight=False, markup=False)
    console.print(f"{found.name}: {headline(found)}", style="bold")
    if found.waivers_problem:
        console.print(f"Nothing is waived: {found.waivers_problem}", style="red")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    failures = {result.evidence for result in found.results if result.verdict == "fail"}
    repeated = {each for each in found.blocking if each.verdict == "unknown" and each.evidence in failures}
    for result in found.results:
        if every or (result in found.blocking and result not in repeated) or result.verdict == "waived":
            colour = COLOURS[result.verdict]
            table.add_row(f"{MARKS[result.verdict]} {result.check.id}", f"{result.check.title}", style=colour)
            table.add_row("", result.evidence)
            if result.blocks:
                table.add_row("", f"→ {result.check.remedy}", style="dim")
    if table.row_count:
        console.print()
        console.print(table)
    if repeated and not every:
        console.print(f"For the same reason {len(repeated)} more checks could not be carried out.")
    counts = {verdict: sum(each.verdict == verdict for each in found.results) for verdict in MARKS}
    console.print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count), style="dim")
    console.print("Every check is explained in chassis/docs/ready.md", style="dim")
