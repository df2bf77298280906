"""The report for a terminal."""

from rich.console import Console, RenderableType
from rich.table import Column, Table

from chassis.evals.cases import FOLDER
from chassis.evals.report import Report, Share, Verdict
from chassis.types import show_usd

MOST_WRONG = 20
"""Who has more than these to mend reads the file."""


def show(report: Report, console: Console) -> None:
    """Print the accuracy, what was wrong, and the verdict."""
    if report.records:
        console.print(_accuracy(report))
        if report.wrong:
            console.print(_wrong(report))
        console.print(_facts(report), style="dim")
    console.print(verdict_line(report), style="green" if report.verdict is Verdict.PASS else "red")


def verdict_line(report: Report) -> str:
    """Return the verdict as one sentence."""
    share = report.overall
    said = f"{share.right} of {share.cases} right, {share.accuracy:.1%}; the floor is {report.floor:.1%}"
    match report.verdict:
        case Verdict.PASS:
            return f"PASS: {said}"
        case Verdict.BELOW_FLOOR:
            return f"BELOW FLOOR: {said}"
        case Verdict.NO_EVIDENCE:
            return f"NO EVIDENCE: there is no case in {FOLDER}/*.jsonl; write some"


def _facts(report: Report) -> str:
    endings = ", ".join(f"{count} {ending}" for ending, count in report.endings.items())
    typical, longest = report.seconds
    return f"{endings} · {show_usd(report.cost)} · {typical:.3f} s a call, {longest:.3f} s the longest"


def _accuracy(report: Report) -> RenderableType:
    table = Table("cases", "right", "of", "accuracy")
    for name, share in {"all": report.overall, **report.by_tag}.items():
        table.add_row(name, *_cells(share))
    return table


def _cells(share: Share) -> tuple[str, str, str]:
    return str(share.right), str(share.cases), f"{share.accuracy:.1%}"


def _wrong(report: Report) -> RenderableType:
    table = Table(Column("wrong case", no_wrap=True), "tags", Column("what happened", no_wrap=True))
    for record in report.wrong[:MOST_WRONG]:
        table.add_row(record.case, " ".join(record.tags), record.ending)
    if len(report.wrong) > MOST_WRONG:
        table.add_row(f"and {len(report.wrong) - MOST_WRONG} more")
    return table
