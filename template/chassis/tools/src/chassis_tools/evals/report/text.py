"""The report as text: in the terminal, and as Markdown for a comment on a pull request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from chassis.usd import format_usd, nano_usd
from chassis_tools.evals.gate_result import GateVerdict, join_names
from chassis_tools.evals.identity import SUBJECTS, RunIdentity
from chassis_tools.evals.report.report import CaseResult, PassRate, Report, SuiteReport

MAX_CASES = 20
"""More cases than these are left to the HTML page."""
MAX_TEXT = 400
"""In characters, of a question or an answer of a red case; the HTML page has all of it."""
MAX_RED_CASES = 5
"""Of more red cases than these, the question and the answer are left to the HTML page too."""
MIN_TAGGED_CASES, MAX_TAGS = 5, 8
"""The terminal shows the lowest pass rates by tag, of tags with enough cases to say anything."""
STYLES = {
    GateVerdict.PASS: "green",
    GateVerdict.FAIL: "red",
    GateVerdict.NO_EVIDENCE: "magenta",
    GateVerdict.INCONCLUSIVE: "yellow",
}
CHANGED = "yellow"
"""The style of what is not the same in the accepted run."""
EMOJI = {
    GateVerdict.PASS: "✅",
    GateVerdict.FAIL: "❌",
    GateVerdict.NO_EVIDENCE: "🚫",
    GateVerdict.INCONCLUSIVE: "❔",
}
ESCAPES = str.maketrans(
    {sign: f"\\{sign}" for sign in "\\`*_[]|#"} | {"<": "&lt;", ">": "&gt;", "@": "&#64;", "\n": " "}
)


@dataclass(frozen=True, slots=True)
class TextTable:
    """Rows of text under headings, each row with the style that the terminal prints it in."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    styles: Sequence[str]


def print_report(report: Report, console: Console) -> None:
    """Print every suite, and the verdict last, next to the prompt."""
    for suite in report.suites:
        console.rule(f"{suite.name} ({suite.kind})", align="left", style="dim")
        lowest = rate_table(lowest_by_tag(suite), "lowest by tag")
        tables = rule_table(suite), rate_table(overall(suite)), lowest, case_table(suite)
        for table in tables:
            if table.rows:
                console.print(_grid(table))
        for case in suite.red_cases[:MAX_RED_CASES]:
            console.print(f"\n{case.id}", style="bold red")
            for label, said in case_texts(case):
                console.print(f"  {label:<10}{shortened(said).replace('\n', '\n' + ' ' * 12)}")
        if more := len(suite.red_cases[MAX_RED_CASES:]):
            console.print(f"\nand {more} more, in the full report", style="red")
        for sentence in (_figures_line(suite), *notes(suite)):
            console.print(sentence, style="dim")
        console.print()
    for sentence in evidence_lines(report):
        console.print(sentence, style="yellow")
    console.print(report.headline, style=f"bold {STYLES[report.verdict]}")


def to_markdown(report: Report) -> str:
    """Return the verdict, then rules and pass rates of each suite, with cases and tags folded away."""
    blocks = [f"## {EMOJI[report.verdict]} Evaluation of {_escaped(report.project)}", _escaped(report.headline)]
    if evidence := "\n".join(f"- {_escaped(line)}" for line in evidence_lines(report)):
        blocks.append(evidence)
    for suite in report.suites:
        blocks += _markdown_blocks(suite)
    return "\n\n".join(blocks) + "\n"


def rule_table(suite: SuiteReport) -> TextTable:
    """Return the verdict of each rule and its reason; one that only warns leaves the suite's verdict alone."""
    rows = [
        (
            finding.rule,
            "" if finding.severity == "block" else finding.severity,
            finding.verdict.title,
            finding.sentence,
        )
        for finding in suite.findings
    ]
    return TextTable(("rule", "", "verdict", "reason"), rows, [STYLES[finding.verdict] for finding in suite.findings])


def rate_table(rates: Sequence[PassRate], title: str = "evaluator") -> TextTable:
    """Return pass rates with their confidence intervals; a calibrated judge's rate also without its errors."""
    headings = (title, "tag", "cases", "pass rate", "95 % interval", "accepted", "change")
    rows = [rate_cells(rate) for rate in rates]
    if any(rate.corrected for rate in rates):
        headings += ("corrected",)
        rows = [(*row, corrected_cell(rate)) for row, rate in zip(rows, rates, strict=True)]
    return TextTable(headings, rows, [""] * len(rates))


def case_table(suite: SuiteReport) -> TextTable:
    """Return the cases that regressed, fail or improved, in this order."""
    cases = [case for case in suite.cases if not case.passes or case.change == "improved"]
    cases.sort(key=lambda case: (case.change != "regressed", case.passes))
    rows = [(case.id, " ".join(case.tags), case_mark(case), case.error or "") for case in cases[:MAX_CASES]]
    styles = ["red" if case.change == "regressed" else "" for case in cases[:MAX_CASES]]
    if len(cases) > MAX_CASES:
        rows.append((f"and {len(cases) - MAX_CASES} more", "", "", ""))
        styles.append("")
    return TextTable(("case", "tags", "result", "error"), rows, styles)


def identity_table(suite: SuiteReport) -> TextTable:
    """Return what this run and the accepted one measured; what is not the same is marked."""
    now, accepted = suite.run, suite.accepted_run or RunIdentity()
    marked = {*SUBJECTS, *(f"evaluator {name}" for name in suite.evaluators)}
    rows = [("started", now.started, accepted.started), ("commit", now.commit, accepted.commit)]
    rows += [(subject, _version(now, subject), _version(accepted, subject)) for subject in SUBJECTS]
    rows += [(f"evaluator {name}", *versions) for name, versions in suite.evaluators.items()]
    rows = [row for row in rows if row[1] or row[2]]
    is_comparable = suite.accepted_run is not None
    styles = [CHANGED if is_comparable and row[0] in marked and row[1] != row[2] else "dim" for row in rows]
    return TextTable(("", "this run", "accepted run"), rows, styles)


def _version(identity: RunIdentity, subject: str) -> str:
    value = getattr(identity, subject)
    return value if isinstance(value, str) else "\n".join(value) or "none"


def case_texts(case: CaseResult) -> Iterator[tuple[str, str]]:
    """Yield what a person needs to see of a red case, each with its label."""
    texts = {
        "question": case.question,
        "expected": case.expected,
        "answer": case.answer,
        "accepted": case.accepted_answer if case.accepted_answer != case.answer else "",
        "reason": "\n".join(filter(None, (case.error, case.reasons, case.judge_reasons))),
        "tools": case.tool_calls,
    }
    return ((label, said) for label, said in texts.items() if said)


def case_lines(case: CaseResult) -> Iterator[str]:
    """Yield all that a report knows of one case, line by line."""
    result = ", ".join(f"{evaluator} {score:g}" for evaluator, score in case.scores.items())
    texts = {
        "scores": f"{result or 'none'} ({case.change})",
        **dict(case_texts(case)),
        "baseline": case.baseline_answer,
        "tags": " ".join(case.tags),
        "took": f"{case.seconds:.3f} s and {format_usd(nano_usd(case.usd))}",
        "trace": case.trace_id or "",
    }
    for label, said in texts.items():
        if said:
            yield f"{label:<10}{said.replace('\n', '\n' + ' ' * 12)}"


def shortened(said: str) -> str:
    """Return the beginning of a long text."""
    return said if len(said) <= MAX_TEXT else f"{said[:MAX_TEXT]}…"


def evidence_lines(report: Report) -> Iterator[str]:
    """Yield which files this change edits on which the verdict rests."""
    if report.base is None:
        return
    yield f"Compared with the accepted runs of {report.base}"
    if report.edited_evidence:
        yield f"This change edits evidence: {join_names(report.edited_evidence, MAX_CASES)}"


def overall(suite: SuiteReport) -> list[PassRate]:
    """Return the pass rates over all cases."""
    return [rate for rate in suite.pass_rates if rate.tag is None]


def by_tag(suite: SuiteReport) -> list[PassRate]:
    """Return the pass rates by tag."""
    return [rate for rate in suite.pass_rates if rate.tag is not None]


def lowest_by_tag(suite: SuiteReport) -> list[PassRate]:
    """Return the lowest pass rates by tag."""
    rates = [rate for rate in by_tag(suite) if rate.cases >= MIN_TAGGED_CASES and rate.estimate.value < 1]
    return sorted(rates, key=lambda rate: rate.estimate.value)[:MAX_TAGS]


def rate_cells(rate: PassRate) -> tuple[str, ...]:
    """Return one row of `rate_table`, without the correction."""
    value = f"{rate.estimate.value:.1%}"
    bounds = f"{rate.estimate.low:.1%} to {rate.estimate.high:.1%}" if rate.has_bounds else "too few groups"
    accepted = "" if rate.accepted is None else f"{rate.accepted:.1%}"
    change = "" if rate.change is None else f"{rate.change:+.1f}"
    return rate.evaluator, rate.tag or "all", str(rate.cases), value, bounds, accepted, change


def corrected_cell(rate: PassRate) -> str:
    """Return the rate corrected for the judge's errors, with its interval; empty if it cannot be corrected."""
    corrected = rate.corrected
    return f"{corrected.value:.0%} [{corrected.low:.0%}, {corrected.high:.0%}]" if corrected else ""


def case_mark(case: CaseResult) -> str:
    """Return what matters about a case in one word."""
    marks = {"regressed": "▼ regressed", "improved": "▲ improved"}
    return marks.get(case.change, "" if case.passes else "fails")


def figures(suite: SuiteReport) -> Iterator[tuple[str, str]]:
    """Yield the figures of the run, each with its label."""
    yield "Cases", f"{len(suite.cases)} × {suite.repeats}"
    yield "Cost", format_usd(nano_usd(suite.cost_usd))
    if suite.judges_cost_usd:
        yield "Cost of judges", format_usd(nano_usd(suite.judges_cost_usd))
    yield "Median latency", f"{suite.median_seconds:.3f} s"
    yield "p95 latency", f"{suite.p95_seconds:.3f} s"


def notes(suite: SuiteReport) -> Iterator[str]:
    """Yield what else a reader must know to judge the figures, in sentences."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(suite.outcomes.items()))
    yield f"Outcomes: {outcomes or 'none'}"
    if suite.excluded:
        yield "Excluded from the rates: " + ", ".join(f"{count} × {error}" for error, count in suite.excluded.items())
    yield from (comparison.sentence for comparison in suite.baseline_comparisons)
    if not suite.baseline_comparisons:
        yield "No model was called: the service ran on its baseline"
    if suite.kind == "replay":
        yield "A replay is exact: any case that gets worse is a regression"
    if suite.detectable_effect:
        yield suite.detectable_effect.sentence
    if suite.has_ceiling_effect:
        yield "Ceiling effect: nearly every case passes, so a better version can hardly be recognized; add harder cases"
    if suite.accepted_run:
        table = identity_table(suite)
        changed = [row[0] for row, style in zip(table.rows, table.styles, strict=True) if style == CHANGED]
        since = f"; changed since: {', '.join(changed)}" if changed else ""
        yield f"Compared with the accepted run of {suite.accepted_run.started}{since}"
    if suite.confidence and suite.confidence_problem:
        yield suite.confidence_problem[0].upper() + suite.confidence_problem[1:]
    if suite.near_duplicates:
        pairs = join_names(f"{one} and {other}" for one, other in suite.near_duplicates)
        yield f"Nearly the same question, which therefore counts twice: {pairs}"


def _markdown_blocks(suite: SuiteReport) -> Iterator[str]:
    yield f"### {EMOJI[suite.verdict]} {_escaped(suite.name)} ({suite.kind})"
    yield _markdown_table(rule_table(suite))
    yield _markdown_table(rate_table(overall(suite)))
    for title, table in (
        ("Failing and improved cases", case_table(suite)),
        ("Pass rates by tag", rate_table(by_tag(suite))),
    ):
        if table.rows:
            yield f"<details><summary>{title}</summary>\n\n{_markdown_table(table)}\n\n</details>"
    for case in suite.red_cases[:MAX_RED_CASES]:
        lines = "\n".join(f"- **{label}**: {_escaped(shortened(said))}" for label, said in case_texts(case))
        yield f"<details open><summary>❌ {_escaped(case.id)}</summary>\n\n{lines}\n\n</details>"
    yield f"<details><summary>What was compared</summary>\n\n{_markdown_table(identity_table(suite))}\n\n</details>"
    yield "\n".join(f"- {_escaped(sentence)}" for sentence in (_figures_line(suite), *notes(suite)))


def _figures_line(suite: SuiteReport) -> str:
    return ", ".join(f"{label}: {value}" for label, value in figures(suite))


def _markdown_table(table: TextTable) -> str:
    rows = [table.headings, tuple("---" for _ in table.headings), *table.rows]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)


def _escaped(text: str) -> str:
    """Return text whose characters become no markup, no mention and no table cell."""
    return text.translate(ESCAPES)


def _grid(table: TextTable) -> Table:
    grid = Table(*table.headings, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for row, style in zip(table.rows, table.styles, strict=True):
        grid.add_row(*row, style=style)
    return grid
