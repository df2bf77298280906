"""The report as one HTML page that needs nothing else: no network, no script from elsewhere, no server."""

from difflib import SequenceMatcher
from html import escape
from importlib.resources import files
from string import Template

from chassis.evals.report import tables
from chassis.evals.report.report import CaseLine, Report, SuiteReport
from chassis.evals.report.tables import MARKS


def page(report: Report) -> str:
    """Return the page."""
    folder = files("chassis.evals.report")
    frame = Template((folder / "page.html").read_text(encoding="utf-8"))
    return frame.substitute(
        project=escape(report.project),
        verdict=report.verdict.name.lower(),
        title=escape(report.verdict.title),
        sentence=escape(report.sentence.partition(". ")[2]),
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
        suites="\n".join(_suite(suite) for suite in report.suites),
    )


def _suite(suite: SuiteReport) -> str:
    tags = sorted({tag for case in suite.cases for tag in case.tags})
    options = "".join(f"<option>{escape(tag)}</option>" for tag in tags)
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in tables.facts(suite))
    verdict = f'<b class="{suite.verdict.name.lower()}">{suite.verdict.title}</b>'
    return f"""\
<section class="suite">
<h2>{escape(suite.name)} <small>{suite.kind}</small> {verdict}</h2>
{_table(tables.rules(suite), "rules")}
<ul class="facts">{facts}</ul>
<h3>Slices</h3>
{_table(tables.rates(suite, tags=False), "rates")}
<details><summary>By tag</summary>{_table(tables.rates(suite, tags=True), "rates")}</details>
<h3>Cases</h3>
<form class="filter">
<input type="search" placeholder="Find in questions, answers and ids" aria-label="Find">
<select class="show" aria-label="Show"><option value="">All</option><option value="wrong">Wrong</option>
<option value="worse">Worse than accepted</option><option value="better">Better than accepted</option>
<option value="new">New or changed</option><option value="error">With an error</option></select>
<select class="tag" aria-label="Tag"><option value="">Every tag</option>{options}</select>
<output></output></form>
{"".join(_case(case) for case in suite.cases)}
</section>"""


def _table(table: tables.Table, kind: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.heads)
    rows = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in table.rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cell(text: str) -> str:
    state = text.lower().replace(" ", "_")
    marked = f' class="{state}"' if state in {"pass", "fail", "no_evidence", "inconclusive"} else ""
    return f"<td{marked}>{escape(text)}</td>"


def _case(case: CaseLine) -> str:
    states = [case.change if case.change != "changed" else "new", *(["error"] if case.error else [])]
    states += ["right" if case.is_right else "wrong"]
    values = " ".join(f"{escape(name)} {value:.2g}" for name, value in case.values.items())
    marks = " · ".join(filter(None, [escape(MARKS[case.change]), "must pass" if case.must_pass else "", values]))
    facts = f"{case.seconds:.3f} s · ${case.usd:.6f}" + (f" · {escape(case.error)}" if case.error else "")
    trace = f" · trace {escape(case.trace_id)}" if case.trace_id else ""
    told = [("Question", escape(case.question)), ("Expected", escape(case.expected))]
    if case.accepted_answer and case.accepted_answer != case.answer:
        before, after = _difference(case.accepted_answer, case.answer)
        told += [("Accepted answer", before), ("Answer now", after)]
    else:
        told.append(("Answer" if case.accepted_answer else "Answer now", escape(case.answer)))
    if case.baseline_answer:
        told.append(("Baseline's answer", escape(case.baseline_answer)))
    if case.reasons:
        told.append(("What judges say", escape(case.reasons)))
    columns = "".join(f"<div><h4>{name}</h4><pre>{text}</pre></div>" for name, text in told)
    return f"""\
<details{" open" * (case.change == "worse")} class="case {" ".join(states)}" data-tags="{escape(" ".join(case.tags))}">
<summary><code>{escape(case.id)}</code> <span class="ask">{escape(case.question)}</span>
<span class="marks">{marks}</span></summary>
<div class="columns">{columns}</div><p class="meta">{escape(" ".join(case.tags))} · {facts}{trace}</p></details>"""


def _difference(before: str, after: str) -> tuple[str, str]:
    """Return both texts with the words marked that are only in one of them."""
    old, new = _words(before), _words(after)
    left, right = "", ""
    for what, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[i:j])), escape("".join(new[k:m]))
        left += gone if what == "equal" else f"<del>{gone}</del>" if gone else ""
        right += come if what == "equal" else f"<ins>{come}</ins>" if come else ""
    return left, right


def _words(text: str) -> list[str]:
    return [part for line in text.splitlines(keepends=True) for part in line.replace(" ", " \0").split("\0")]
