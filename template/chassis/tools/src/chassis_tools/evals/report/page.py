"""The report as one HTML page that needs nothing else: no network, no script from elsewhere, no server."""

import re
from html import escape
from importlib.resources import files
from string import Template

from chassis_tools.evals.report import tables
from chassis_tools.evals.report.page_cases import case_details
from chassis_tools.evals.report.report import Rate, Report, SuiteReport

OPENED = 3
"""So many of the cases that got worse are shown at once; the others are a click away."""


def page(report: Report) -> str:
    """Return the page."""
    folder = files("chassis_tools.evals.report")
    frame = Template((folder / "page.html").read_text(encoding="utf-8"))
    return frame.substitute(
        project=escape(report.project),
        verdict=report.verdict.name.lower(),
        title=escape(report.verdict.title),
        sentence=_causes(report) or f"<p>{_text(report.sentence.partition('. ')[2])}</p>",
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
        suites="\n".join(_suite(suite) for suite in report.suites),
    )


def _causes(report: Report) -> str:
    """Return a line for each rule to which the verdict is due; none if all is well."""
    causes = [
        f"<li><b>{escape(suite.name)}: {escape(finding.rule)}</b> {_text(finding.sentence)}</li>"
        for suite in report.suites
        for finding in suite.findings
        if report.exit_code and finding.severity == "block" and finding.verdict is report.verdict
    ]
    return f"<ul>{''.join(causes)}</ul>" if causes else ""


def _suite(suite: SuiteReport) -> str:
    tags = sorted({tag for case in suite.cases for tag in case.tags})
    options = "".join(f"<option>{escape(tag)}</option>" for tag in tags)
    facts = "".join(f"<li>{_text(fact)}</li>" for fact in tables.facts(suite))
    opened = {case.id for case in [case for case in suite.cases if case.change == "worse"][:OPENED]}
    by_tag = _rates(suite, tags=True)
    return f"""\
<section class="suite">
<h2>{escape(suite.name)} <small>{suite.kind}</small> {_badge(suite.verdict.title)}</h2>
{_rules(suite)}
<ul class="facts">{facts}</ul>
<h3>Slices</h3>
{_rates(suite, tags=False)}
{f"<details><summary>By tag</summary>{by_tag}</details>" if by_tag else ""}
<h3>Cases</h3>
<form class="filter">
<input type="search" placeholder="Find in questions, answers and ids" aria-label="Find">
<select class="show" aria-label="Show"><option value="">All</option><option value="wrong">Wrong</option>
<option value="worse">Worse than accepted</option><option value="better">Better than accepted</option>
<option value="new">New or changed</option><option value="error">With an error</option></select>
<select class="tag" aria-label="Tag"><option value="">Every tag</option>{options}</select>
<output></output></form>
{"".join(case_details(case, opened=case.id in opened) for case in suite.cases)}
</section>"""


def _rules(suite: SuiteReport) -> str:
    rows = [
        f"<tr><td>{escape(rule)} <small>{severity}</small></td><td>{_badge(verdict)}</td><td>{_text(why)}</td></tr>"
        for rule, severity, verdict, why in tables.rules(suite).rows
    ]
    return f'<table class="rules"><tbody>{"".join(rows)}</tbody></table>'


def _rates(suite: SuiteReport, *, tags: bool) -> str:
    rates = [each for each in suite.rates if (each.tag is not None) is tags]
    rows = [
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row[:4])}<td>{_bar(rate)}</td>"
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row[4:])}</tr>"
        for rate, row in zip(rates, tables.rates(suite, tags=tags).rows, strict=True)
    ]
    heads = (*tables.RATE_HEADS[:4], "0 to 100 %", *tables.RATE_HEADS[4:])
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    table = f'<table class="rates"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return table if rows else ""


def _bar(rate: Rate) -> str:
    """Return a rate as a mark on a line, its interval as a band, and what was accepted as a hollow mark."""
    low, high = (100 * min(1.0, max(0.0, bound)) for bound in (rate.now.low, rate.now.high))
    accepted = "" if rate.accepted is None else f'<s style="left:{100 * rate.accepted:.1f}%"></s>'
    band = f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
    return f'<span class="bar">{band}{accepted}<b style="left:{100 * rate.now.value:.1f}%"></b></span>'


def _badge(verdict: str) -> str:
    return f'<span class="badge {verdict.lower().replace(" ", "_")}">{escape(verdict)}</span>'


def _text(sentence: str) -> str:
    """Return a sentence of ours, its commands set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence))
