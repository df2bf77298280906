"""The report as one self-contained HTML page: no server, no network and no script but its own."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from chassis_tools.evals.gate.result import Finding
from chassis_tools.evals.report import text
from chassis_tools.evals.report.report import CaseResult, Report, SuiteReport

MAX_OPEN = 3
"""The first regressed cases are unfolded, so that the page stays readable when everything fails."""
MIN_SIMILARITY = 0.3
"""Two texts that are less alike are shown without marks, since nearly every word would be marked."""

type Segment = tuple[str, bool]
"""A piece of a text, and whether the other text lacks it."""


def to_html(report: Report) -> str:
    """Return the page; autoescaping turns everything from cases, answers and models into text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment.get_template("page.html.j2").render(
        report=report,
        causes=list(_causes(report)),
        text=text,
        case_tags=case_tags,
        changed_words=changed_words,
        open_cases=open_cases,
    )


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
