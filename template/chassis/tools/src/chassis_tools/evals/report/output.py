"""Writes a report as one self-contained HTML page, as JUnit XML, as Markdown and as JSON."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from pydantic import TypeAdapter

from chassis_tools.evals.gate_result import Finding, GateVerdict
from chassis_tools.evals.jsonl import explained_writes
from chassis_tools.evals.report import text
from chassis_tools.evals.report.report import CaseResult, Report, SuiteReport
from chassis_tools.evals.report.text import to_markdown

MAX_OPEN = 3
"""The first regressed cases are unfolded, so that the page stays readable when everything fails."""
MIN_SIMILARITY = 0.3
"""Two texts that are less alike are shown without marks, since nearly every word would be marked."""

type Segment = tuple[str, bool]
"""A piece of a text, and whether the other text lacks it."""


def to_html(report: Report) -> str:
    """Return the page; autoescaping turns everything from cases, answers and models into text."""
    return _page().render(
        report=report,
        causes=list(_causes(report)),
        text=text,
        case_tags=case_tags,
        changed_words=changed_words,
        open_cases=open_cases,
    )


@cache
def _page() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["code"] = _code
    return environment.get_template("page.html.j2")


def case_tags(suite: SuiteReport) -> list[str]:
    """Return the tags of the cases, sorted."""
    return sorted({tag for case in suite.cases for tag in case.tags})


def open_cases(suite: SuiteReport) -> set[str]:
    """Return the ids of the cases that are unfolded."""
    return {case.id for case in [case for case in suite.cases if case.change == "regressed"][:MAX_OPEN]}


def changed_words(case: CaseResult) -> tuple[list[Segment], list[Segment]]:
    """Return the accepted and the current answer in pieces, marked where only one of them has the words."""
    before, after = _words(case.accepted_answer), _words(case.answer)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if matcher.ratio() < MIN_SIMILARITY:
        return [(case.accepted_answer, False)], [(case.answer, False)]
    opcodes = matcher.get_opcodes()
    removed = [("".join(before[start:end]), kind != "equal") for kind, start, end, _, _ in opcodes]
    added = [("".join(after[start:end]), kind != "equal") for kind, _, _, start, end in opcodes]
    return [piece for piece in removed if piece[0]], [piece for piece in added if piece[0]]


def _causes(report: Report) -> Iterator[tuple[SuiteReport, Finding]]:
    """Yield the findings behind a verdict that is not PASS."""
    for suite in report.suites:
        for finding in suite.findings:
            if report.exit_code and finding.severity == "block" and finding.verdict is report.verdict:
                yield suite, finding


def _code(sentence: str) -> Markup:
    """Return a sentence with its `commands` set as code; escaping comes first."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence)))  # noqa: S704


def _words(answer: str) -> list[str]:
    """Return the words, each with the spaces behind it; a line break ends a word."""
    return [word for line in answer.splitlines(keepends=True) for word in line.replace(" ", " \0").split("\0")]


def to_junit(report: Report) -> str:
    """Return the XML; a failing case that is no regression is reported as output, not as a failure."""
    root = Element("testsuites", name=report.project)
    for suite in report.suites:
        _add_suite(root, suite)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_suite(root: Element, suite: SuiteReport) -> None:
    node = SubElement(root, "testsuite", name=suite.name)
    for finding in suite.findings:
        _add_finding(SubElement(node, "testcase", classname=f"{suite.name}.rules", name=finding.rule), finding)
    for case in suite.cases:
        classname = f"{suite.name}.{case.tags[0] if case.tags else 'cases'}"
        _add_case(SubElement(node, "testcase", classname=classname, name=case.id, time=f"{case.seconds:.3f}"), case)
    tests = list(node)
    node.set("tests", str(len(tests)))
    for total, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        node.set(total, str(sum(test.find(child) is not None for test in tests)))


def _add_finding(node: Element, finding: Finding) -> None:
    match finding.verdict:
        case GateVerdict.FAIL if finding.severity == "block":
            SubElement(node, "failure", message=finding.sentence)
        case GateVerdict.NO_EVIDENCE if finding.severity == "block":
            SubElement(node, "error", message=finding.sentence)
        case GateVerdict.INCONCLUSIVE:
            SubElement(node, "skipped", message=finding.sentence)
        case _:
            SubElement(node, "system-out").text = finding.sentence


def _add_case(node: Element, case: CaseResult) -> None:
    if case.status in {"outage", "judge_error", "skipped"}:
        SubElement(node, "skipped", message=f"{case.status}: {case.error}")
    elif case.change == "regressed":
        SubElement(node, "failure", message="Regression: worse than in the accepted run")
    elif not case.passes:
        comparison = "as in the accepted run" if case.change == "unchanged" else case.change
        SubElement(node, "system-out").text = f"Fails, {comparison}"


REPORT_FILE = "report.json"
RENDERERS = {"report.md": to_markdown, "report.html": to_html, "junit.xml": to_junit}
ADAPTER = TypeAdapter(Report)


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json`, Markdown, HTML and JUnit XML."""
    with explained_writes():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT_FILE).write_bytes(ADAPTER.dump_json(report, indent=1) + b"\n")
        for name, render in RENDERERS.items():
            (folder / name).write_text(render(report), encoding="utf-8")
