"""The accepted run: comparing a run with it, and accepting another in its place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from chassis.errors import ConfigError
from chassis.usd import to_usd
from chassis_tools.evals.case_scores import (
    CaseScores,
    comparable_cases,
    completed_trials,
    failure_note,
    mean_change,
    records_of,
    score_changes,
    scores_of,
)
from chassis_tools.evals.gate_result import (
    ALPHA,
    Finding,
    GateContext,
    GateResult,
    GateVerdict,
    combine_blocking,
    find_invalid,
    join_names,
    no_evidence,
)
from chassis_tools.evals.identity import HISTORY, Acceptance, RunIdentity
from chassis_tools.evals.jsonl import write_jsonl
from chassis_tools.evals.plan import RUNS, Plan
from chassis_tools.evals.records import RECORDS, TRIALS, ScoreRecord, SuiteRun, TrialSummary
from chassis_tools.evals.statistics import Interval, holm, quantile_interval, sign_flip
from chassis_tools.evals.suites import RegressionRule

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MIN_DROP = 0.01
"""A drop of less than one point does not fail a run, however certain it is."""
MIN_SLICE_CASES = 30
"""Smaller slices are reported, but not judged on their own."""
MAX_NAMED_CASES = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """The scores of one evaluator in two runs.

    Args:
        before: Those of the accepted run.
        after: Those of the run.
        cases: The cases that both have unchanged.
        edited: The cases whose question or expectation was edited in between.
        crashed: The cases whose call failed, which it did not in the accepted run.
    """

    before: CaseScores
    after: CaseScores
    cases: Sequence[str]
    edited: Sequence[str]
    crashed: Sequence[str]

    @classmethod
    def of(cls, evaluator: str, accepted: Sequence[ScoreRecord], records: Sequence[ScoreRecord]) -> "Comparison":
        """Compare the scores of one evaluator."""
        before, after = scores_of(accepted, evaluator), scores_of(records, evaluator)
        cases = comparable_cases(before, after)
        failed_before = {record.case for record in records_of(accepted, evaluator) if record.status == "failed"}
        failed = {record.case for record in records_of(records, evaluator) if record.status == "failed"}
        edited = sorted((before.keys() & after.keys()) - set(cases))
        return cls(before, after, cases, edited, sorted((failed - failed_before) & before.keys()))

    @property
    def worse(self) -> tuple[str, ...]:
        """Return the cases that speak for a regression.

        A crash counts even if the answer was wrong before, and so does an edited case that passed before and fails
        now: else a full stop after its question would hide a broken answer.
        """
        lower = [case for case in self.cases if self.after[case].mean < self.before[case].mean]
        failing = [case for case in self.edited if self.before[case].mean == 1 and self.after[case].mean == 0]
        return tuple(dict.fromkeys([*lower, *failing, *self.crashed]))

    @property
    def better(self) -> tuple[str, ...]:
        """Return the cases that got better."""
        return tuple(case for case in self.cases if self.after[case].mean > self.before[case].mean)


def gate_context(plan: Plan, run: SuiteRun) -> GateContext:
    """Return what the rules read, with the run to compare with.

    That is the accepted run of the base commit if one is named and can be compared, else that of the checkout.
    """
    base = plan.base_accepted
    if base is None:
        return GateContext(plan, run, plan.accepted)
    evaluators = [rule.evaluator for rule in plan.suite.rules if isinstance(rule, RegressionRule)]
    problems = (why_incomparable(evaluator, base, run) for evaluator in evaluators)
    problem = next((problem for problem in problems if problem), None)
    return GateContext(plan, run, plan.accepted, problem) if problem else GateContext(plan, run, base)


def check_cases(context: GateContext) -> Iterator[Finding]:
    """Yield which cases are not those of the accepted run. If too many were edited, nothing can be compared."""
    yield from _find_exempt(context)
    scored = {(record.case, record.repeat) for record in context.records}
    asked = (trial for trial in context.run.trials if trial.variant == "service")
    if unscored := dict.fromkeys(trial.case for trial in asked if (trial.case, trial.repeat) not in scored):
        sentence = f"No evaluator scores some answers to {join_names(unscored, MAX_NAMED_CASES)}"
        yield _named("unscored cases", sentence, [*unscored])
    if changes := context.plan.changed_rules:
        yield _named("rules", f"Changed since {context.plan.base}: {'; '.join(changes)}")
    rules = [rule for rule in context.plan.suite.rules if isinstance(rule, RegressionRule)]
    if not rules or not context.accepted:
        return
    if context.why_not_base:
        base, problem = context.plan.base, context.why_not_base
        sentence = f"Compared with the run that this change itself accepts, not with that of {base}: {problem}"
        yield _named("accepted run", sentence)
    before, after = (_case_hashes(records) for records in (context.accepted, context.records))
    edited = sorted(case for case in before.keys() & after.keys() if before[case] != after[case])
    if added := sorted(after.keys() - before.keys()):
        sentence = f"{len(added)} cases are not in the accepted run: {join_names(added, MAX_NAMED_CASES)}"
        yield _named("new cases", sentence, added)
    if not edited:
        return
    named = join_names(edited, MAX_NAMED_CASES)
    sentence = f"{len(edited)} of {len(before)} cases were edited since the accepted run: {named}"
    if len(edited) <= max(1, context.plan.suite.max_edited * len(before)):
        yield _named("edited cases", sentence, edited)
    else:
        limit = f"at most {context.plan.suite.max_edited:.0%} may; {_accept(context)}"
        yield no_evidence("edited cases", f"{sentence}; {limit}", edited)


def _find_exempt(context: GateContext) -> Iterator[Finding]:
    """Yield the cases that a rule does not apply to any more, such as after an attack has lost its tag."""
    regressions = {rule.evaluator for rule in context.plan.suite.rules if isinstance(rule, RegressionRule)}
    tags = {record.case: record.tags for record in context.records}
    for evaluator in sorted(context.plan.suite.blocking_evaluators - context.plan.judges.keys()):
        before, after = (
            {record.case: record for record in records_of(records, evaluator)}
            for records in (context.accepted, context.records)
        )
        lost = [case for case in before if case not in after and (case in tags or evaluator not in regressions)]
        sentence = f"{evaluator!r} scored cases in the accepted run that it does not score now"
        if retagged := [case for case in lost if tags.get(case) != before[case].tags]:
            named = join_names(retagged, MAX_NAMED_CASES)
            yield no_evidence("scored cases", f"{sentence}: {named}; {_accept(context)}", retagged)
        elif lost:  # the grader may decide by the outcome
            yield _named("scored cases", f"{sentence}: {join_names(lost, MAX_NAMED_CASES)}", lost)
        if marked := [case for case in after if case in before and before[case].must_pass > after[case].must_pass]:
            yield _named("must-pass cases", f"Not must_pass any more: {join_names(marked, MAX_NAMED_CASES)}", marked)


def _named(rule: str, sentence: str, cases: Sequence[str] = ()) -> Finding:
    """Return a finding that does not block, but is shown in every report."""
    return Finding(rule=rule, verdict=GateVerdict.PASS, sentence=sentence, severity="warn", cases=tuple(cases))


def check_regression(rule: RegressionRule, context: GateContext) -> Finding:
    """Check that the answers are no worse: in any case of a replay, and with confidence where models vary."""
    finding = _compare(rule, context)
    accepted, reason = context.plan.accepted_here
    if finding.verdict is GateVerdict.FAIL and reason and accepted.issuperset(finding.cases):
        sentence = f"{finding.sentence}; accepted in this change: {reason}"
        return replace(finding, verdict=GateVerdict.PASS, sentence=sentence)
    return finding


def _compare(rule: RegressionRule, context: GateContext) -> Finding:
    name = f"regression {rule.evaluator}"
    compared = Comparison.of(rule.evaluator, context.accepted, context.records)
    problem = why_incomparable(rule.evaluator, context.accepted_run, context.run)
    if problem:
        return no_evidence(name, f"{problem}; {_accept(context)}")
    if unknown := [tag for tag in rule.slices if not _tagged(tag, compared.after, list(compared.after))]:
        return no_evidence(name, f"No case is tagged {join_names(unknown)}; correct the slices of this rule")
    failures = failure_note(context.records, rule.evaluator)
    if context.is_exact:
        return _exact_finding(name, compared, failures)
    change = mean_change(compared.before, compared.after, compared.cases, context.alpha)
    max_drop = context.plan.constraints.quality.max_regression if rule.max_drop is None else rule.max_drop
    worse_slices = _worse_slices(rule, compared, context.alpha)
    sentence = f"{_interval(change)} points on {len(compared.cases)} cases × {context.repeats}"
    sentence += f"; the largest allowed drop is {100 * max_drop:g} points"
    return Finding(
        rule=name,
        verdict=GateVerdict.FAIL if worse_slices else decide_regression(change, max_drop),
        sentence=sentence + _slices_note(rule, worse_slices, compared) + failures,
        interval=change,
        limit=-max_drop,
        cases=compared.worse,
    )


def decide_regression(change: Interval, max_drop: float) -> GateVerdict:
    """Return whether a change is proven to be a drop, proven to be small enough, or neither."""
    if change.high < 0 and change.value <= -MIN_DROP:
        return GateVerdict.FAIL
    return GateVerdict.PASS if change.low > -max_drop else GateVerdict.INCONCLUSIVE


def why_incomparable(evaluator: str, accepted: SuiteRun, run: SuiteRun) -> str | None:
    """Return why the scores of two runs cannot be compared, or None if they can."""
    before, after = scores_of(accepted.records, evaluator), scores_of(run.records, evaluator)
    if not before:
        return "No run of this suite has been accepted yet"
    if not after:
        return "No case has a score"
    # A case that an outage excluded was asked; a case that was not asked has been removed.
    asked = {record.case for record in records_of(run.records, evaluator)}
    if missing := sorted(set(before) - asked):
        return f"The accepted run has cases that this run has not: {join_names(missing)}"
    evaluators = {score.record.evaluator_hash for scores in (before, after) for score in scores.values()}
    if len(evaluators) > 1:
        return "The evaluator, or a type or function of the team that it uses, has changed since the accepted run"
    if not comparable_cases(before, after):
        return "Every case has changed since the accepted run"
    return None


def _accept(context: GateContext) -> str:
    return f"run `chassis evals accept {context.plan.name}` if that is intended"


def _case_hashes(records: Sequence[ScoreRecord]) -> dict[str, str]:
    return {record.case: record.case_hash for record in records if record.variant == "service"}


def _exact_finding(name: str, compared: Comparison, failures: str) -> Finding:
    worse, count = compared.worse, len(set(compared.cases).union(compared.worse))
    if not worse:
        sentence = f"None of {count} cases got worse, {len(compared.better)} got better"
        return Finding(rule=name, verdict=GateVerdict.PASS, sentence=sentence)
    sentence = f"{len(worse)} of {count} cases got worse, {len(compared.better)} better: {join_names(worse)}"
    if edited := [case for case in worse if case in compared.edited]:
        sentence += f"; edited since the accepted run: {join_names(edited)}"
    return Finding(rule=name, verdict=GateVerdict.FAIL, sentence=sentence + failures, cases=worse)


def _worse_slices(rule: RegressionRule, compared: Comparison, alpha: float) -> list[str]:
    """Return the declared slices that dropped, corrected for the number of slices that were tested."""
    before, after = compared.before, compared.after
    tagged = {tag: _tagged(tag, after, compared.cases) for tag in rule.slices}
    slices = {tag: members for tag, members in tagged.items() if len(members) >= MIN_SLICE_CASES}
    p_values = holm([sign_flip(score_changes(before, after, members)) for members in slices.values()])
    drops = [sum(before[case].mean - after[case].mean for case in cases) / len(cases) for cases in slices.values()]
    tests = zip(slices, p_values, drops, strict=True)
    return [tag for tag, p_value, drop in tests if p_value <= alpha and drop >= MIN_DROP]


def _slices_note(rule: RegressionRule, worse: Sequence[str], compared: Comparison) -> str:
    note = f"; proven to be worse where tagged {join_names(worse)}" if worse else ""
    small = [tag for tag in rule.slices if len(_tagged(tag, compared.after, compared.cases)) < MIN_SLICE_CASES]
    if small:
        note += f"; too small to be judged on their own, with fewer than {MIN_SLICE_CASES} cases: {join_names(small)}"
    return note


def _tagged(tag: str, scores: CaseScores, cases: Sequence[str]) -> list[str]:
    return [case for case in cases if tag in scores[case].record.tags]


def _interval(change: Interval) -> str:
    return f"{100 * change.value:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"


INCIDENTAL = frozenset({"seconds", "call_id", "trace_id"})
"""What differs between two runs of one service. A line in which nothing else changed is left as it was."""


@dataclass(frozen=True, slots=True)
class AcceptedChange:
    """What accepting a run changes.

    Args:
        worse: The cases that got worse than in the accepted run before.
        better: Those that got better.
        has_changed: Whether anything had to be written.
    """

    worse: tuple[str, ...]
    better: tuple[str, ...]
    has_changed: bool


def accept_run(plan: Plan, run: SuiteRun, result: GateResult, although_failed: str | None = None) -> AcceptedChange:
    """Make a run the one that later runs of its suite are compared with. If it changes nothing, nothing is written.

    Args:
        plan: The plan of the suite.
        run: Its last run.
        result: What the gate says of it.
        although_failed: Why a run that fails is accepted all the same.

    Raises:
        ConfigError: There is no run, it is no evidence, or it fails and no reason is given.
    """
    _require_evidence(plan, run)
    if result.verdict is GateVerdict.FAIL and not (although_failed or "").strip():
        problem, remedy = (
            f"the run fails: {result.sentence}",
            "Correct it, or say why it counts: --although-failed REASON",
        )
        raise ConfigError(f"{RUNS}/{plan.name}", problem, remedy)
    worse, better = _flips(plan, run)
    folder, before = plan.accepted_folder, plan.accepted
    trials = _merged(before.trials, run.trials, _trial_of)
    records = _merged(before.records, run.records, lambda record: (*_trial_of(record), record.evaluator))
    is_same = trials == list(before.trials) and records == list(before.records)
    if is_same and before.history and not run.identity.changes_since(before.identity):
        return AcceptedChange(worse, better, has_changed=False)
    reason = although_failed if result.verdict is GateVerdict.FAIL else None
    line = _acceptance(plan, run, _verdict(plan, result), reason, worse)
    write_jsonl(folder / TRIALS, trials)
    write_jsonl(folder / RECORDS, records)
    write_jsonl(folder / HISTORY, [*before.history, line])
    return AcceptedChange(worse, better, has_changed=True)


def _require_evidence(plan: Plan, run: SuiteRun) -> None:
    where = f"{RUNS}/{plan.name}/{RECORDS}"
    if not any(record.value is not None for record in run.records):
        raise ConfigError(where, "there is no run with a score", f"Run `chassis evals run {plan.name}` first")
    context = GateContext(plan, replace(run, identity=replace(run.identity, altered=())), plan.accepted)
    if finding := next(find_invalid(context), None):
        raise ConfigError(
            where, f"the run is no evidence: {finding.sentence}", f"Run `chassis evals run {plan.name}` again"
        )


def _flips(plan: Plan, run: SuiteRun) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the cases that got worse than in the accepted run, and those that got better, by any evaluator."""
    compared = [Comparison.of(name, plan.accepted.records, run.records) for name in plan.suite.evaluators]
    worse = dict.fromkeys(case for each in compared for case in each.worse)
    return tuple(worse), tuple(dict.fromkeys(case for each in compared for case in each.better))


def _verdict(plan: Plan, result: GateResult) -> GateVerdict:
    """Return the verdict; the first run of a suite has nothing to compare with, which does not count against it."""
    if plan.accepted.records:
        return result.verdict
    return combine_blocking(finding for finding in result.findings if not finding.rule.startswith("regression "))


def _acceptance(
    plan: Plan, run: SuiteRun, verdict: GateVerdict, reason: str | None, worse: Sequence[str]
) -> Acceptance:
    trials = completed_trials(run.records)
    scores = {name: scores_of(run.records, name) for name in plan.suite.evaluators}
    rates = {name: sum(each.mean for each in cases.values()) / len(cases) for name, cases in scores.items() if cases}
    identity = replace(run.identity, altered=())
    return Acceptance(
        **{each.name: getattr(identity, each.name) for each in fields(RunIdentity)},
        verdict=verdict.title,
        reason=reason,
        worse=tuple(worse),
        rates={name: round(rate, 4) for name, rate in rates.items()},
        mean_usd=round(to_usd(sum(trial.cost for trial in trials)) / len(trials), 9),
        p95_seconds=quantile_interval([trial.seconds for trial in trials], 0.95, ALPHA).value,
    )


def _merged[R: TrialSummary](
    before: Sequence[R], after: Sequence[R], key: Callable[[R], tuple[str | int, ...]]
) -> list[R]:
    """Return the rows of a run by case, each as it was before if nothing but time and ids has changed."""
    known = {key(row): row for row in before}
    merged = (known[key(row)] if key(row) in known and _is_same(known[key(row)], row) else row for row in after)
    return sorted(merged, key=key)


def _is_same(before: "DataclassInstance", after: "DataclassInstance") -> bool:
    names = (each.name for each in fields(before) if each.name not in INCIDENTAL)
    return all(getattr(before, name) == getattr(after, name) for name in names)


def _trial_of(row: TrialSummary) -> tuple[str, str, int]:
    return row.variant, row.case, row.repeat
