"""Accepting a run: making it the one that later runs are compared with, and writing down what that changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from chassis.errors import ConfigError
from chassis.usd import to_usd
from chassis_tools.evals.case_scores import completed_trials, scores_of
from chassis_tools.evals.gate_result import ALPHA, GateContext, GateResult, GateVerdict, combine_blocking, find_invalid
from chassis_tools.evals.identity import HISTORY, Acceptance, RunIdentity
from chassis_tools.evals.jsonl import write_jsonl
from chassis_tools.evals.plan import RUNS, Plan
from chassis_tools.evals.records import RECORDS, TRIALS, SuiteRun, TrialSummary
from chassis_tools.evals.regression import Comparison
from chassis_tools.evals.statistics import quantile_interval

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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
