"""What makes a whole run worthless as evidence: it asked too little, lost too much, or its accepted run was altered."""

from collections import Counter
from collections.abc import Iterator, Sequence

from chassis_tools.evals.case_scores import COUNTED, distinct_trials
from chassis_tools.evals.gate_result import Finding, GateContext, join_names, no_evidence
from chassis_tools.evals.records import NOT_RECORDED, ScoreRecord
from chassis_tools.evals.suites import FILE


def find_invalid(context: GateContext) -> Iterator[Finding]:
    """Yield the reasons why nothing can be concluded from a run."""
    suite, name = context.plan.suite, context.plan.name
    if not any(rule.severity == "block" for rule in suite.rules):
        yield no_evidence("rules", f"No rule of this suite blocks; add one in {FILE}")
    records = [record for record in context.records if record.variant == "service"]
    if not records:
        yield no_evidence("cases", "No case was asked; add some to evals/cases/, or run the suite")
        return
    if altered := context.run.identity.altered:
        sentence = (
            f"The accepted run was altered: its answers do not get the scores that it has for {join_names(altered)}"
        )
        remedy = f"restore evals/accepted/{name}/, or run `chassis evals accept {name}`"
        yield no_evidence("accepted run", f"{sentence}; {remedy}", altered)
    yield from _find_excluded(context, records)


def _find_excluded(context: GateContext, records: Sequence[ScoreRecord]) -> Iterator[Finding]:
    """Yield why too many answers say nothing about the service, if so."""
    suite, name = context.plan.suite, context.plan.name
    # A judge that only warns may fail without spoiling the run.
    blocking = suite.blocking_evaluators
    records = [record for record in records if record.status != "judge_error" or record.evaluator in blocking]
    excluded = [record for record in records if record.status not in COUNTED]
    if unrecorded := sorted({record.case for record in excluded if record.error == NOT_RECORDED}):
        asked = " or ".join(context.run.identity.models)
        sentence = f"No reply of {asked} to the current prompt is recorded for {join_names(unrecorded)}"
        remedy = f"run `chassis evals record {name}` where the models can be asked"
        yield no_evidence("recording", f"{sentence}; {remedy}", unrecorded)
    elif shares := _excessive_shares(records, suite.max_excluded):
        errors = Counter(record.error for record in excluded)
        counts = ", ".join(f"{count} × {error}" for error, count in errors.items())
        sentence = f"{max(shares):.1%} of the answers say nothing about the service ({counts})"
        limit = f"at most {suite.max_excluded:.0%} may"
        yield no_evidence("exclusions", f"{sentence}; {limit}", {record.case for record in excluded})
    elif suite.kind == "live" and not any(record.is_by_model for record in records):
        answered = Counter(record.answered_by or "nobody" for record in distinct_trials(records))
        counts = ", ".join(f"{count} answered by {source}" for source, count in answered.items())
        sentence = f"No model answered in this live suite ({counts}), so it shows nothing about the models"
        yield no_evidence("models", f"{sentence}; see the reasons in var/evals/log.jsonl")


def _excessive_shares(records: Sequence[ScoreRecord], limit: float) -> list[float]:
    """Return the share of excluded records of each evaluator that is over the limit."""
    # Counted for each evaluator: the records of one do not make up for those that another lost.
    asked = Counter(record.evaluator for record in records)
    lost = Counter(record.evaluator for record in records if record.status not in COUNTED)
    return [lost[name] / count for name, count in asked.items() if lost[name] > limit * count]
