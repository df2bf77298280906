"""`chassis ready`: the launch review on the screen, or as JSON, SARIF or Markdown."""

import json
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.clock import now

if TYPE_CHECKING:
    from chassis.config.project import Project
    from chassis.quality.success import SuccessMeasurement
    from chassis_tools.readiness.launch_review import CheckResult, LaunchReview

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
COLORS = {"pass": "green", "waived": "blue", "unknown": "yellow", "fail": "red"}
MARKS = {"pass": "✓", "waived": "~", "unknown": "?", "fail": "✗"}
COUNTED = {"pass": "passed", "waived": "waived", "unknown": "unknown", "fail": "failed"}


class ReadyFormat(StrEnum):
    """An output format of the launch review."""

    TEXT = "text"
    SARIF = "sarif"
    MARKDOWN = "markdown"


def ready(
    output_format: Annotated[ReadyFormat, typer.Option("--format", help="Output format")] = ReadyFormat.TEXT,
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of the screen")] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also show the checks that pass")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the launch review: the checks that a release must pass. Exit with 1 if any of them fails."""
    from chassis.config.project import find_project
    from chassis_tools.readiness.launch_review import run_checks

    if as_json and (output or output_format is not ReadyFormat.TEXT):
        raise typer.BadParameter("it is printed, so it goes with neither --format nor --output", param_hint="--json")
    if output and output_format is ReadyFormat.TEXT:
        raise typer.BadParameter("text is only printed; choose another --format", param_hint="--output")
    project = find_project()
    review = run_checks(project.root, now().date(), _measured_success(project))
    if as_json:
        print_json(review_as_dict(review))
    elif output_format is ReadyFormat.TEXT:
        _print(review, show_all=show_all)
    else:
        writers = {ReadyFormat.SARIF: as_sarif, ReadyFormat.MARKDOWN: as_markdown}
        text = writers[output_format](review)
        if output is None:
            typer.echo(text, nl=False)
        else:
            output.write_text(text, encoding="utf-8")
    raise typer.Exit(1 if review.blocking else 0)


def _measured_success(project: "Project") -> "SuccessMeasurement | None":
    """Return the measured success, or None where there is no database to read or the constraints are invalid."""
    from chassis.config.constraints import load_constraints
    from chassis.config.project import load_settings
    from chassis.errors import ConfigError, DatabaseUnavailable
    from chassis.quality.success import measure_success
    from chassis.store.opening import SQLITE_PREFIX, run_with_database

    try:
        success, url = load_constraints(project.root).success, load_settings(project.root).database_url
        if url.startswith(SQLITE_PREFIX) and not (project.root / url.removeprefix(SQLITE_PREFIX)).is_file():
            return None  # opening it would create it
        return run_with_database(project, lambda database: measure_success(database, success))
    except (ConfigError, DatabaseUnavailable) as error:
        typer.echo(f"Success is not measured: {error}", err=True)
        return None


def headline(review: "LaunchReview") -> str:
    """Return the outcome in one phrase."""
    reached = f"level reached: {review.level or 'none'}"
    if review.tier is None:
        return f"{_failing(review)}; tier unknown, {reached}"
    if review.blocking:
        return f"{_failing(review)} for tier {review.tier}; {reached}"
    return f"ready for a release of tier {review.tier}; {reached}"


def _failing(review: "LaunchReview") -> str:
    count = len(review.blocking)
    return f"{count} check{'' if count == 1 else 's'} failing"


def _print(review: "LaunchReview", *, show_all: bool) -> None:
    console = plain_console()
    console.print(f"{review.name}: {headline(review)}", style="bold")
    if review.waivers_error:
        console.print(f"No waiver is valid: {review.waivers_error}", style="red")
    # A file that cannot be read fails one check and leaves many unknown; its error is shown once.
    errors = {result.evidence for result in review.results if result.status == "fail"}
    repeated = {result for result in review.blocking if result.status == "unknown" and result.evidence in errors}
    blocking = set(review.blocking) - repeated
    shown = [result for result in review.results if show_all or result in blocking or result.status == "waived"]
    for family, results in groupby(shown, key=lambda result: result.check.family):
        console.print(f"\n{family}", style="bold")
        console.print(_rows(results))
    console.print()
    if repeated and not show_all:
        console.print(f"{len(repeated)} more checks are unknown for the same reason.")
    counts = Counter[str](result.status for result in review.results)
    console.print(", ".join(f"{counts[status]} {word}" for status, word in COUNTED.items() if counts[status]))
    for line in _unseen(review):
        console.print(line, style="yellow")
    console.print("chassis/handbook/launch.md explains every check; --all shows those that pass.", style="dim")


def _unseen(review: "LaunchReview") -> list[str]:
    """Return what passing checks could not see: their result holds only for the rest."""
    return [f"Not seen by {result.check.id}: {phrase}" for result in review.results for phrase in result.unseen]


def _rows(results: Iterable["CheckResult"]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for result in results:
        check, color = result.check, COLORS[result.status]
        title = Text.assemble((check.title, color), (f"  {check.id}", "dim"))
        table.add_row(Text(MARKS[result.status], color), title)
        table.add_row("", result.evidence)
        if result.blocks:
            table.add_row("", f"→ {check.remedy}")
    return table


def review_as_dict(review: "LaunchReview") -> dict[str, object]:
    """Return every result, so that a developer portal can apply its own rules."""
    return {
        "schema": 1,
        "name": review.name,
        "tier": review.tier,
        "level": review.level,
        "waivers_error": review.waivers_error,
        "blocking": [result.check.id for result in review.blocking],
        "checks": [_result_as_dict(result) for result in review.results],
    }


def _result_as_dict(result: "CheckResult") -> dict[str, object]:
    check = result.check
    return {
        "id": check.id,
        "family": check.family,
        "title": check.title,
        "level": check.level,
        "status": result.status,
        "evidence": result.evidence,
        "unseen": result.unseen,
        "remedy": check.remedy,
        "link": check.link,
    }


def as_sarif(review: "LaunchReview") -> str:
    """Return the failing checks as SARIF 2.1.0, which GitHub and GitLab show beside the code."""
    checks = [result.check for result in review.results]
    rules = [
        {"id": check.id, "shortDescription": {"text": check.title}, "help": {"text": f"{check.remedy} ({check.link})"}}
        for check in checks
    ]
    driver = {"name": "chassis ready", "rules": rules}
    findings = [_as_sarif(result) for result in review.results if result.blocks]
    runs = [{"tool": {"driver": driver}, "results": findings}]
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": runs})


def _as_sarif(result: "CheckResult") -> dict[str, Any]:
    check = result.check
    place = {"artifactLocation": {"uri": check.file}, "region": {"startLine": 1}}
    return {
        "ruleId": check.id,
        "level": "error" if result.status == "fail" else "warning",
        "message": {"text": f"{check.title}: {result.evidence}. {check.remedy}"},
        "locations": [{"physicalLocation": place}],
    }


def as_markdown(review: "LaunchReview") -> str:
    """Return a page for a pull request or a release."""
    lines = [f"# {review.name}: {headline(review)}", ""]
    if review.waivers_error:
        lines += [f"No waiver is valid: {review.waivers_error}", ""]
    if review.blocking:
        lines += ["| check | requirement | evidence | remedy |", "|---|---|---|---|"]
        lines += [_as_table_row(result) for result in review.blocking]
    waived = [f"- {result.check.id}: {result.evidence}" for result in review.results if result.status == "waived"]
    if waived:
        lines += ["", "Waived:", "", *waived]
    if unseen := _unseen(review):
        lines += ["", *(f"- {line}" for line in unseen)]
    return "\n".join(lines).rstrip() + "\n"


def _as_table_row(result: "CheckResult") -> str:
    evidence = result.evidence.replace("|", "\\|").replace("\n", " ")
    check = result.check
    return f"| [{check.id}]({check.link}) | {check.title} | {evidence} | {check.remedy} |"
