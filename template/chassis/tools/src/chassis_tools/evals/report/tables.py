"""The tables of a report, without any form: terminal, Markdown and HTML show the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis_tools.evals.gate.result import Finding
from chassis_tools.evals.report.report import CaseLine, Change, Rate, Reach, SuiteReport

MOST_CASES = 20
"""Who has more than these to mend reads the page."""
RATE_HEADS = ("evaluator", "tag", "cases", "now", "95 % interval", "accepted", "change")
LEAST_SLICE, MOST_SLICES = 5, 8
"""A terminal shows the weakest slices that are large enough to say anything."""
MARKS: dict[Change, str] = {"worse": "▼ worse", "better": "▲ better", "same": "", "new": "new", "changed": "changed"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def rules(suite: SuiteReport) -> Table:
    """Return what each rule says."""
    return Table(("rule", "", "verdict", "why"), [_rule(finding) for finding in suite.findings])


def rates(suite: SuiteReport, *, tags: bool) -> Table:
    """Return how good the answers are, for all cases or by tag."""
    rows = [_rate(each) for each in suite.rates if (each.tag is not None) is tags]
    return Table(RATE_HEADS, rows)


def weakest(suite: SuiteReport) -> Table:
    """Return the slices that most deserve a look."""
    slices = [each for each in suite.rates if each.tag is not None and each.cases >= LEAST_SLICE]
    slices.sort(key=lambda each: each.now.value)
    return Table(("weakest", *RATE_HEADS[1:]), [_rate(each) for each in slices[:MOST_SLICES] if each.now.value < 1])


def cases(suite: SuiteReport, most: int = MOST_CASES) -> Table:
    """Return the cases that got worse, got better or are wrong, the worst first."""
    told = [case for case in suite.cases if not case.is_right or case.change == "better"]
    told.sort(key=lambda case: (case.change != "worse", case.is_right))
    rows = [(case.id, " ".join(case.tags), _mark(case), case.error or "") for case in told[:most]]
    if len(told) > most:
        rows.append((f"and {len(told) - most} more", "", "", ""))
    return Table(("case", "tags", "", "error"), rows)


def _mark(case: CaseLine) -> str:
    return MARKS[case.change] if case.change in {"worse", "better"} else "wrong"


def facts(suite: SuiteReport) -> list[str]:
    """Return the rest in sentences."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(suite.outcomes.items()))
    excluded = ", ".join(f"{count} × {error}" for error, count in suite.excluded.items())
    judges = f", of which ${suite.judges_usd:.6f} for judges" if suite.judges_usd else ""
    said = [
        f"{len(suite.cases)} cases × {suite.repeats}: {outcomes}",
        f"Spent ${suite.spent_usd:.6f}{judges}" if suite.spent_usd else "Spent nothing",
        f"An answer takes {suite.median_seconds:.3f} s in the middle, {suite.p95_seconds:.3f} s at p95",
        *(duel.sentence for duel in suite.duels),
    ]
    if excluded:
        said.append(f"Left out: {excluded}")
    if not suite.duels:
        said.append("No model was asked: the baseline is the service, and no model had to beat it")
    if suite.reach:
        exact = "One case that gets worse is enough here; asked of models, these cases would show"
        lead = exact if suite.kind == "replay" else "These cases show"
        said.append(f"{lead} {_shown(suite.reach)}")
    if suite.saturated:
        said.append("Nearly everything passes: these cases are too easy to tell good from better; add harder ones")
    if suite.accepted_run:
        said.append(f"Compared with the run of {suite.accepted_run}")
    return said


def _shown(reach: Reach) -> str:
    found = f"a drop of {100 * reach.detectable:.1f} points in 80 of 100 runs"
    none = "no drop at all, they are too few"
    return f"{found if reach.detectable < 1 else none}; {100 * reach.wanted:g} points take {reach.needed} cases"


def _rule(finding: Finding) -> tuple[str, ...]:
    return finding.rule, "" if finding.severity == "block" else "warn", finding.verdict.title, finding.sentence


def _rate(each: Rate) -> tuple[str, ...]:
    accepted = "" if each.accepted is None else f"{each.accepted:.1%}"
    change = "" if each.accepted is None else f"{100 * (each.now.value - each.accepted):+.1f}"
    now = f"{each.now.value:.1%}"
    if each.corrected:
        now += f", corrected {each.corrected.value:.0%} [{each.corrected.low:.0%}, {each.corrected.high:.0%}]"
    says_something = each.now.high - each.now.low < 1
    bounds = f"{each.now.low:.1%} to {each.now.high:.1%}" if says_something else "too few groups"
    return each.evaluator, each.tag or "all", str(each.cases), now, bounds, accepted, change
