"""Turns trials into records: every evaluator says of every trial how good it was."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from chassis.contract import Task
from chassis_tools.evals.cases import Case
from chassis_tools.evals.endings import Ending, Refused, load
from chassis_tools.evals.graders import Evaluator, JudgeFailed
from chassis_tools.evals.lines import facts_of
from chassis_tools.evals.notebook import Notebook
from chassis_tools.evals.records import Asked, Opinion, Record, Status, Trial

SHARED = {field.name for field in fields(Asked)} - {"status", "error"}


async def score(
    trials: Sequence[Trial],
    cases: Sequence[Case[Any]],
    evaluators: Sequence[Evaluator],
    task: Task[Any, Any],
    *,
    docket: Notebook[Opinion],
    at_once: int,
) -> list[Record]:
    """Return the records of a run, in the order of the cases; what judges say is on the docket, or goes there.

    Raises:
        ConfigError: A grader fails, or returns what is no value.
    """
    judges = [evaluator for evaluator in evaluators if evaluator.is_judge]
    places = {case.id: (place, case, case.digest) for place, case in enumerate(cases)}
    known = {(each.call_id, each.evaluator, each.evaluator_hash): each for each in docket.rows if each.error is None}
    free = asyncio.Semaphore(at_once)

    def is_due(sheet: _Sheet, ending: Ending[Any], judge: Evaluator) -> bool:
        return (sheet.trial.call_id, judge.name, judge.fingerprint) not in known and judge.applies(sheet.case, ending)

    async def judged(sheet: _Sheet) -> list[Record | None]:
        if (ending := sheet.ending) is None:
            return list(sheet.unanswered(evaluators))
        return [await said(sheet, ending, evaluator) for evaluator in evaluators]

    async def said(sheet: _Sheet, ending: Ending[Any], evaluator: Evaluator) -> Record | None:
        if not evaluator.is_judge:
            mark = await evaluator.mark(sheet.case, ending)
            return None if mark is None else sheet.record(evaluator, mark.value, sheet.trial.status, sheet.trial.error)
        if is_due(sheet, ending, evaluator):
            async with free:
                opinion = await _opinion(sheet, ending, evaluator)
            docket.write(opinion)
        else:
            opinion = known.get((sheet.trial.call_id, evaluator.name, evaluator.fingerprint))
        if opinion is None:
            return None
        return sheet.record(evaluator, opinion.value, "judge_error" if opinion.error else "ok", opinion.error)

    sheets = [_Sheet.of(trial, *places[trial.case][1:], task) for trial in trials if trial.case in places]
    due = [judge for sheet in sheets if sheet.ending for judge in judges if is_due(sheet, sheet.ending, judge)]
    docket.progress.begin("verdicts", len(due))
    said_of = await asyncio.gather(*(judged(sheet) for sheet in sheets))
    kept = [record for records in said_of for record in records if record is not None]
    return sorted(kept, key=lambda record: (record.arm, places[record.case][0], record.repeat))


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One trial before its evaluators: what all of them see, put together once.

    Args:
        trial: The trial.
        case: Its case.
        ending: What came back, or None if there is nothing to grade.
        shared: What all its records say.
    """

    trial: Trial
    case: Case[Any]
    ending: Ending[Any] | None
    shared: dict[str, Any]

    @classmethod
    def of(cls, trial: Trial, case: Case[Any], case_hash: str, task: Task[Any, Any]) -> "_Sheet":
        """Prepare a trial."""
        facts = facts_of(trial)
        shared = {name: facts[name] for name in SHARED} | {
            "case_hash": case_hash,
            "group": case.group or case.id,
            "tags": case.tags,
            "split": case.split,
            "must_pass": case.must_pass,
        }
        ending = load(trial.ending, task.gives) if trial.ending is not None and trial.status == "ok" else None
        return cls(trial, case, ending, shared)

    def unanswered(self, evaluators: Sequence[Evaluator]) -> Iterator[Record]:
        """Yield what is said of a trial without an ending: 0 if the service failed, and nothing after an outage.

        Each evaluator is asked about an ending that no answer could hide in: does it speak of this case at all? If none
        does, all have to, because a grader that speaks of answers alone would lose sight of every crash.
        """
        hidden = Refused(self.trial.error or "")
        concerned = [evaluator for evaluator in evaluators if evaluator.applies(self.case, hidden)]
        value = 0.0 if self.trial.status == "fail_service" else None
        for evaluator in concerned or evaluators:
            yield self.record(evaluator, value, self.trial.status, self.trial.error)

    def record(self, evaluator: Evaluator, value: float | None, status: Status, error: str | None) -> Record:
        """Return what one evaluator says."""
        name, fingerprint = evaluator.name, evaluator.fingerprint
        return Record(
            **self.shared, status=status, error=error, evaluator=name, evaluator_hash=fingerprint, value=value
        )


async def _opinion(sheet: _Sheet, ending: Ending[Any], judge: Evaluator) -> Opinion:
    value, error = None, None
    try:
        mark = await judge.mark(sheet.case, ending)
        value, reason, cost = (mark.value, mark.reason, mark.cost) if mark else (None, "", 0)
    except JudgeFailed as failure:
        error, reason, cost = str(failure), failure.reason, failure.cost
    return Opinion(
        call_id=sheet.trial.call_id,
        evaluator=judge.name,
        evaluator_hash=judge.fingerprint,
        value=value,
        error=error,
        reason=reason,
        cost=cost,
    )
