"""From the records of one suite to its ruling."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chassis.errors import ConfigError
from chassis_tools.evals.gate.context import GateContext
from chassis_tools.evals.gate.regression import check_regression
from chassis_tools.evals.gate.result import Finding, GateVerdict, combine, join_names, no_evidence
from chassis_tools.evals.gate.rules import check_cost, check_floor, check_latency, check_must_pass, check_never
from chassis_tools.evals.gate.scores import COUNTED
from chassis_tools.evals.judges import FILE as JUDGES
from chassis_tools.evals.records import ScoreRecord
from chassis_tools.evals.suites import (
    FILE,
    LEAST_AGREEMENT,
    CostRule,
    FloorRule,
    JudgeRule,
    LatencyRule,
    MustPassRule,
    NeverRule,
    RegressionRule,
    Rule,
)


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate says of one suite.

    Args:
        suite: Its name.
        verdict: Good or not.
        sentence: Why, in one sentence.
        findings: What each rule says, those about the run as a whole first.
    """

    suite: str
    verdict: GateVerdict
    sentence: str
    findings: tuple[Finding, ...]


def gate(context: GateContext) -> GateResult:
    """Judge one run.

    Raises:
        ConfigError: A judge that is not calibrated is to block.
    """
    for rule in context.suite.rules:
        _check_judge(rule, context)
    worthless = list(find_invalid(context))
    # What was seen was seen; but a share of what is left after an outage is no share of anything.
    rules = [rule for rule in context.suite.rules if not worthless or isinstance(rule, NeverRule | MustPassRule)]
    findings = worthless + [_apply(rule, context) for rule in rules]
    blocking = [finding for finding in findings if finding.severity == "block"]
    verdict = combine(finding.verdict for finding in blocking)
    causes = [finding for finding in blocking if finding.verdict is verdict]
    if verdict is GateVerdict.INCONCLUSIVE and context.suite.on_inconclusive == "pass":
        verdict = GateVerdict.PASS
        names = join_names(finding.rule for finding in causes)
        sentence = f"{context.name}: nothing is proven to be bad, but {names} cannot be decided with so few answers"
    elif verdict is GateVerdict.PASS:
        sentence = f"{context.name}: {len(blocking)} of {len(blocking)} rules hold"
    else:
        sentence = f"{context.name}: " + "; ".join(f"{cause.rule}: {cause.sentence}" for cause in causes)
    return GateResult(context.name, verdict, sentence, tuple(findings))


def _apply(rule: Rule, context: GateContext) -> Finding:
    found: Finding
    match rule:
        case FloorRule():
            found = check_floor(rule, context)
        case RegressionRule():
            found = check_regression(rule, context)
        case NeverRule():
            found = check_never(rule, context)
        case MustPassRule():
            found = check_must_pass(rule, context)
        case LatencyRule():
            found = check_latency(rule, context)
        case CostRule():
            found = check_cost(rule, context)
        case JudgeRule():
            found = _judge(rule, context)
    return replace(found, severity=rule.severity)


def find_invalid(context: GateContext) -> Iterator[Finding]:
    """Yield what makes the whole run worthless."""
    if not any(rule.severity == "block" for rule in context.suite.rules):
        yield no_evidence("rules", f"No rule of this suite can block; write one in {FILE}")
    service = [record for record in context.records if record.variant == "service"]
    if not service:
        yield no_evidence("cases", "Not one case was asked; write some in evals/cases/, or run the suite")
        return
    service = [each for each in service if each.status != "judge_error" or each.evaluator in context.suite.deciding]
    out = [record for record in service if record.status not in COUNTED]
    if unrecorded := sorted({record.case for record in out if record.error == "NotRecorded"}):
        remedy = f"run `chassis evals record {context.name}` where the models can be asked"
        yield no_evidence(
            "recording", f"{len(unrecorded)} cases need a reply that is not recorded; {remedy}", unrecorded
        )
    elif worst_share := max(_shares_out(service, context.suite.max_excluded), default=None):
        errors = ", ".join(f"{count} × {error}" for error, count in Counter(record.error for record in out).items())
        share = f"{worst_share:.1%} of the answers say nothing about the service ({errors})"
        yield no_evidence(
            "exclusions", f"{share}; at most {context.suite.max_excluded:.0%} may", {each.case for each in out}
        )


def _shares_out(service: Sequence[ScoreRecord], most: float) -> Iterator[float]:
    """Yield the share that each evaluator lost, where it is too large: what one loses does another not make up for."""
    asked = Counter(record.evaluator for record in service)
    lost = Counter(record.evaluator for record in service if record.status not in COUNTED)
    yield from (lost[name] / count for name, count in asked.items() if lost[name] > most * count)


def _judge(rule: JudgeRule, context: GateContext) -> Finding:
    """The judge agrees with people well enough."""
    name = f"judge {rule.evaluator}"
    if unknown := _unmeasured(rule.evaluator, context):
        return no_evidence(
            name, f"{unknown}; run `chassis evals calibrate {rule.evaluator}` where its model can be asked"
        )
    if problem := context.calibrations[rule.evaluator].problem(rule.at_least):
        return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=problem)
    return Finding(rule=name, verdict=GateVerdict.PASS, sentence=f"It agrees with people, {rule.at_least:.0%} at least")


def _check_judge(rule: Rule, context: GateContext) -> None:
    """Refuse to let a judge block whom nobody has checked."""
    judge = getattr(rule, "evaluator", None)
    if rule.severity != "block" or isinstance(rule, JudgeRule) or judge is None or judge not in context.judges:
        return
    problem = _unmeasured(judge, context) or context.calibrations[judge].problem(LEAST_AGREEMENT)
    if problem:
        remedy = f'Run `chassis evals calibrate {judge}`, or write severity = "warn"'
        raise ConfigError(f"{FILE}: suites.{context.name}", f"{judge!r} may not block: {problem}", remedy)


def _unmeasured(judge: str, context: GateContext) -> str | None:
    """Return why nobody knows how often this judge errs, or None if somebody does."""
    if judge not in context.judges:
        raise ConfigError(f"{FILE}: suites.{context.name}", f"there is no judge {judge!r}", f"Describe it in {JUDGES}")
    calibration = context.calibrations.get(judge)
    if calibration is None:
        return "the judge was never calibrated"
    used = {record.evaluator_hash for record in context.records if record.evaluator == judge}
    if used | {context.judges[judge]} != {calibration.judge_hash}:
        return "the judge changed since it was calibrated"
    return None
