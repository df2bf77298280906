"""Turns trials into records: every evaluator says of every trial how good it was."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from chassis.contract import Task
from chassis_tools.evals.cases import Case
from chassis_tools.evals.graders import Evaluator, JudgeFailed
from chassis_tools.evals.jsonl import JsonlWriter, as_dict
from chassis_tools.evals.outcomes import CaseOutcome, Refused, outcome_from_json
from chassis_tools.evals.records import Judgement, ScoreRecord, Trial, TrialStatus, TrialSummary

SHARED = {field.name for field in fields(TrialSummary)} - {"status", "error"}


async def score(
    trials: Sequence[Trial],
    cases: Sequence[Case[Any]],
    evaluators: Sequence[Evaluator],
    task: Task[Any, Any],
    *,
    docket: JsonlWriter[Judgement],
    at_once: int,
) -> list[ScoreRecord]:
    """Return the records of a run, in the order of the cases; what judges say is on the docket, or goes there.

    Raises:
        ConfigError: A grader fails, or returns what is no value.
    """
    judges = [evaluator for evaluator in evaluators if evaluator.is_judge]
    places = {case.id: (place, case, case.digest) for place, case in enumerate(cases)}
    known = {(each.call_id, each.evaluator, each.evaluator_hash): each for each in docket.rows if each.error is None}
    free = asyncio.Semaphore(at_once)

    def is_due(sheet: _Sheet, outcome: CaseOutcome[Any], judge: Evaluator) -> bool:
        return (sheet.trial.call_id, judge.name, judge.hash) not in known and judge.applies(sheet.case, outcome)

    async def judged(sheet: _Sheet) -> list[ScoreRecord | None]:
        if (outcome := sheet.outcome) is None:
            return list(sheet.unanswered(evaluators))
        return [await said(sheet, outcome, evaluator) for evaluator in evaluators]

    async def said(sheet: _Sheet, outcome: CaseOutcome[Any], evaluator: Evaluator) -> ScoreRecord | None:
        if not evaluator.is_judge:
            mark = await evaluator.evaluate(sheet.case, outcome)
            return None if mark is None else sheet.record(evaluator, mark.value, sheet.trial.status, sheet.trial.error)
        if is_due(sheet, outcome, evaluator):
            async with free:
                judgement = await _judgement(sheet, outcome, evaluator)
            docket.append(judgement)
        else:
            judgement = known.get((sheet.trial.call_id, evaluator.name, evaluator.hash))
        if judgement is None:
            return None
        return sheet.record(evaluator, judgement.value, "judge_error" if judgement.error else "ok", judgement.error)

    sheets = [_Sheet.of(trial, *places[trial.case][1:], task) for trial in trials if trial.case in places]
    due = [judge for sheet in sheets if sheet.outcome for judge in judges if is_due(sheet, sheet.outcome, judge)]
    docket.progress.begin("verdicts", len(due))
    said_of = await asyncio.gather(*(judged(sheet) for sheet in sheets))
    kept = [record for records in said_of for record in records if record is not None]
    return sorted(kept, key=lambda record: (record.variant, places[record.case][0], record.repeat))


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One trial before its evaluators: what all of them see, put together once.

    Args:
        trial: The trial.
        case: Its case.
        outcome: What came back, or None if there is nothing to grade.
        shared: What all its records say.
    """

    trial: Trial
    case: Case[Any]
    outcome: CaseOutcome[Any] | None
    shared: dict[str, Any]

    @classmethod
    def of(cls, trial: Trial, case: Case[Any], case_hash: str, task: Task[Any, Any]) -> "_Sheet":
        """Prepare a trial."""
        facts = as_dict(trial)
        shared = {name: facts[name] for name in SHARED} | {
            "case_hash": case_hash,
            "group": case.group or case.id,
            "tags": case.tags,
            "split": case.split,
            "must_pass": case.must_pass,
        }
        outcome = (
            outcome_from_json(trial.outcome, task.gives) if trial.outcome is not None and trial.status == "ok" else None
        )
        return cls(trial, case, outcome, shared)

    def unanswered(self, evaluators: Sequence[Evaluator]) -> Iterator[ScoreRecord]:
        """Yield what is said of a trial without an outcome: 0 if the service failed, and nothing after an outage.

        Each evaluator is asked whether it applies to a refusal in this case. If none does, all of them score the trial,
        because a grader that only looks at answers would lose sight of every crash.
        """
        hidden = Refused(self.trial.error or "")
        concerned = [evaluator for evaluator in evaluators if evaluator.applies(self.case, hidden)]
        value = 0.0 if self.trial.status == "failed" else None
        for evaluator in concerned or evaluators:
            yield self.record(evaluator, value, self.trial.status, self.trial.error)

    def record(self, evaluator: Evaluator, value: float | None, status: TrialStatus, error: str | None) -> ScoreRecord:
        """Return what one evaluator says."""
        name, fingerprint = evaluator.name, evaluator.hash
        return ScoreRecord(
            **self.shared, status=status, error=error, evaluator=name, evaluator_hash=fingerprint, value=value
        )


async def _judgement(sheet: _Sheet, outcome: CaseOutcome[Any], judge: Evaluator) -> Judgement:
    value, error = None, None
    try:
        mark = await judge.evaluate(sheet.case, outcome)
        value, reason, cost = (mark.value, mark.reason, mark.cost) if mark else (None, "", 0)
    except JudgeFailed as failure:
        error, reason, cost = str(failure), failure.reason, failure.cost
    return Judgement(
        call_id=sheet.trial.call_id,
        evaluator=judge.name,
        evaluator_hash=judge.hash,
        value=value,
        error=error,
        reason=reason,
        cost=cost,
    )
