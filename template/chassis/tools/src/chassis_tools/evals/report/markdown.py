"""The report as Markdown, to be a comment on a pull request."""

from chassis_tools.evals.gate.result import GateVerdict
from chassis_tools.evals.report import tables
from chassis_tools.evals.report.report import Report, SuiteReport

SIGNS = {GateVerdict.PASS: "✅", GateVerdict.FAIL: "❌", GateVerdict.NO_EVIDENCE: "🚫", GateVerdict.INCONCLUSIVE: "❔"}


def markdown(report: Report) -> str:
    """Return the verdict first, then the rules and what changed, the rest folded away."""
    parts = [f"## {SIGNS[report.verdict]} Evaluation of {_plain(report.project)}", _plain(report.sentence)]
    return "\n\n".join([*parts, *(_suite(suite) for suite in report.suites)]) + "\n"


def _suite(suite: SuiteReport) -> str:
    shown = [f"### {SIGNS[suite.verdict]} {suite.name} ({suite.kind})", _table(tables.rules(suite))]
    shown.append(_table(tables.rates(suite, tags=False)))
    for title, table in (("Cases to look at", tables.cases(suite)), ("By tag", tables.rates(suite, tags=True))):
        if table.rows:
            shown.append(f"<details><summary>{title}</summary>\n\n{_table(table)}\n\n</details>")
    shown.append("\n".join(f"- {_plain(fact)}" for fact in tables.facts(suite)))
    return "\n\n".join(shown)


def _table(table: tables.Table) -> str:
    rows = [table.heads, tuple("---" for _ in table.heads), *table.rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows)


def _plain(text: str) -> str:
    """Return text in which nothing that others wrote becomes markup, a mention or a new cell."""
    for sign in "\\`*_[]<>|#@":
        text = text.replace(sign, {"<": "&lt;", ">": "&gt;", "@": "&#64;"}.get(sign, f"\\{sign}"))
    return text.replace("\n", " ")
