"""Turns trials into records: every evaluator says of every trial how good it was."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from chassis.evals.cases import Case
from chassis.evals.endings import Ending, Refused, load
from chassis.evals.graders import Evaluator, JudgeFailed
from chassis.evals.lines import facts_of
from chassis.evals.records import Asked, Record, Status, Trial
from chassis.task import Task

SHARED = {field.name for field in fields(Asked)} - {"status", "error"}

type Known = dict[tuple[str, str, str], Record]
"""What judges have said already, by call, evaluator and fingerprint: asking again would cost again."""


def known_verdicts(records: Sequence[Record]) -> Known:
    """Return the verdicts that need not be asked for again."""
    return {
        (record.call_id, record.evaluator, record.evaluator_hash): record for record in records if record.status == "ok"
    }


async def score(
    trials: Sequence[Trial],
    cases: Sequence[Case[Any]],
    evaluators: Sequence[Evaluator],
    task: Task[Any, Any],
    *,
    known: Known,
    at_once: int,
) -> list[Record]:
    """Return the records of a run, in the order of the cases.

    Raises:
        ConfigError: A grader fails, or returns what is no value.
    """
    places = {case.id: (place, case, case.digest) for place, case in enumerate(cases)}
    free = asyncio.Semaphore(at_once)

    async def judged(trial: Trial) -> list[Record | None]:
        _, case, case_hash = places[trial.case]
        sheet = _Sheet.of(trial, case, case_hash, task)
        if (ending := sheet.ending) is None:
            return list(sheet.unanswered(evaluators))
        return [await said(sheet, ending, evaluator) for evaluator in evaluators]

    async def said(sheet: _Sheet, ending: Ending[Any], evaluator: Evaluator) -> Record | None:
        if not evaluator.is_judge:
            return await sheet.graded(ending, evaluator)
        if earlier := known.get((sheet.trial.call_id, evaluator.name, evaluator.fingerprint)):
            return earlier
        async with free:
            return await sheet.graded(ending, evaluator)

    sheets = await asyncio.gather(*(judged(trial) for trial in trials if trial.case in places))
    kept = [record for sheet in sheets for record in sheet if record is not None]
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

    async def graded(self, ending: Ending[Any], evaluator: Evaluator) -> Record | None:
        """Return what one evaluator says of the ending, or None if it says nothing."""
        try:
            value = await evaluator.value(self.case, ending)
        except JudgeFailed as failure:
            return self._record(evaluator, None, "judge_error", str(failure))
        return None if value is None else self._record(evaluator, value, self.trial.status, self.trial.error)

    def unanswered(self, evaluators: Sequence[Evaluator]) -> Iterator[Record]:
        """Yield what is said of a trial without an ending: 0 if the service failed, and nothing after an outage.

        Each evaluator is asked about an ending that no answer could hide in: does it speak of this case at all? If none
        does, all have to, because a grader that speaks of answers alone would lose sight of every crash.
        """
        hidden = Refused(self.trial.error or "")
        concerned = [evaluator for evaluator in evaluators if evaluator.applies(self.case, hidden)]
        value = 0.0 if self.trial.status == "fail_service" else None
        for evaluator in concerned or evaluators:
            yield self._record(evaluator, value, self.trial.status, self.trial.error)

    def _record(self, evaluator: Evaluator, value: float | None, status: Status, error: str | None) -> Record:
        name, fingerprint = evaluator.name, evaluator.fingerprint
        return Record(
            **self.shared, status=status, error=error, evaluator=name, evaluator_hash=fingerprint, value=value
        )
