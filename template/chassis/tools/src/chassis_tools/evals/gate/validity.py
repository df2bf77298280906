"""Whether a run is evidence at all, and whether the judges that it relies on may block."""

from collections import Counter
from collections.abc import Iterator, Sequence

from chassis.errors import ConfigError
from chassis_tools.evals.gate.result import Finding, GateContext, GateVerdict, join_names, no_evidence
from chassis_tools.evals.gate.scores import COUNTED
from chassis_tools.evals.judges import FILE as JUDGES
from chassis_tools.evals.judges import MIN_AGREEMENT
from chassis_tools.evals.outcomes import NOT_RECORDED
from chassis_tools.evals.records import ScoreRecord
from chassis_tools.evals.suites import FILE, JudgeRule, Rule, evaluator_of


def find_invalid(context: GateContext) -> Iterator[Finding]:
    """Yield what makes the whole run worthless as evidence: no rules, no cases, or too many excluded trials."""
    suite, name = context.plan.suite, context.plan.name
    if not any(rule.severity == "block" for rule in suite.rules):
        yield no_evidence("rules", f"No rule of this suite blocks; add one in {FILE}")
    records = [record for record in context.records if record.variant == "service"]
    if not records:
        yield no_evidence("cases", "No case was asked; add some to evals/cases/, or run the suite")
        return
    # A judge that only warns may fail without spoiling the run.
    blocking = suite.blocking_evaluators
    records = [record for record in records if record.status != "judge_error" or record.evaluator in blocking]
    excluded = [record for record in records if record.status not in COUNTED]
    if unrecorded := sorted({record.case for record in excluded if record.error == NOT_RECORDED}):
        remedy = f"run `chassis evals record {name}` where the models can be asked"
        yield no_evidence("recording", f"No reply is recorded for {join_names(unrecorded)}; {remedy}", unrecorded)
    elif shares := _excessive_shares(records, suite.max_excluded):
        errors = Counter(record.error for record in excluded)
        counts = ", ".join(f"{count} × {error}" for error, count in errors.items())
        sentence = f"{max(shares):.1%} of the answers say nothing about the service ({counts})"
        limit = f"at most {suite.max_excluded:.0%} may"
        yield no_evidence("exclusions", f"{sentence}; {limit}", {record.case for record in excluded})


def check_judge(rule: JudgeRule, context: GateContext) -> Finding:
    """Check that a judge agrees with people's labels."""
    name = f"judge {rule.evaluator}"
    if problem := _calibration_problem(rule.evaluator, context):
        remedy = f"run `chassis evals calibrate {rule.evaluator}` where its model can be asked"
        return no_evidence(name, f"{problem}; {remedy}")
    if problem := context.plan.calibrations[rule.evaluator].problem(rule.at_least):
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=problem)
    return Finding(
        rule=name, verdict=GateVerdict.PASS, sentence=f"It agrees with people in at least {rule.at_least:.0%}"
    )


def require_calibrated_judge(rule: Rule, context: GateContext) -> None:
    """Refuse a rule that blocks and depends on a judge which is not calibrated.

    Raises:
        ConfigError: The judge was never calibrated, has changed since, or does not agree with people often enough.
    """
    judge = evaluator_of(rule)
    if rule.severity != "block" or isinstance(rule, JudgeRule) or judge is None or judge not in context.plan.judges:
        return
    problem = _calibration_problem(judge, context) or context.plan.calibrations[judge].problem(MIN_AGREEMENT)
    if problem:
        remedy = f'Run `chassis evals calibrate {judge}`, or write severity = "warn"'
        raise ConfigError(f"{FILE}: suites.{context.plan.name}", f"{judge!r} may not block: {problem}", remedy)


def _excessive_shares(records: Sequence[ScoreRecord], limit: float) -> list[float]:
    """Return the share of excluded records of each evaluator that is over the limit."""
    # Counted for each evaluator: the records of one do not make up for those that another lost.
    asked = Counter(record.evaluator for record in records)
    lost = Counter(record.evaluator for record in records if record.status not in COUNTED)
    return [lost[name] / count for name, count in asked.items() if lost[name] > limit * count]


def _calibration_problem(judge: str, context: GateContext) -> str | None:
    """Return why it is unknown how often a judge errs, or None if it is known."""
    plan = context.plan
    if judge not in plan.judges:
        raise ConfigError(f"{FILE}: suites.{plan.name}", f"there is no judge {judge!r}", f"Describe it in {JUDGES}")
    calibration = plan.calibrations.get(judge)
    if calibration is None:
        return "the judge was never calibrated"
    versions = {record.evaluator_hash for record in context.records if record.evaluator == judge}
    if versions | {plan.judge_hashes[judge]} != {calibration.judge_hash}:
        return "the judge has changed since it was calibrated"
    return None
