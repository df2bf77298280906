"""Writes every form of a report beside its `report.json`."""

from pathlib import Path

from chassis_tools.evals.report.junit import junit
from chassis_tools.evals.report.markdown import markdown
from chassis_tools.evals.report.page import page
from chassis_tools.evals.report.report import Report

FORMS = {"report.md": markdown, "report.html": page, "junit.xml": junit}


def write_forms(report: Report, folder: Path) -> None:
    """Write Markdown, HTML and JUnit XML."""
    for name, form in FORMS.items():
        (folder / name).write_text(form(report), encoding="utf-8")
