"""The files of a report: `report.json`, and the formats that are rendered from it."""

from pathlib import Path

from pydantic import TypeAdapter

from chassis_tools.evals.report.html import to_html
from chassis_tools.evals.report.junit import to_junit
from chassis_tools.evals.report.report import Report
from chassis_tools.evals.report.text import to_markdown

REPORT_FILE = "report.json"
RENDERERS = {"report.md": to_markdown, "report.html": to_html, "junit.xml": to_junit}
ADAPTER = TypeAdapter(Report)


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json`, Markdown, HTML and JUnit XML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_FILE).write_bytes(ADAPTER.dump_json(report, indent=1) + b"\n")
    for name, render in RENDERERS.items():
        (folder / name).write_text(render(report), encoding="utf-8")


def load_report(folder: Path) -> Report:
    """Read `report.json`."""
    return ADAPTER.validate_json((folder / REPORT_FILE).read_bytes())
