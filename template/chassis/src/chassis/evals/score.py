"""Turns trials into records: every evaluator says of every trial how good it was."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from chassis.evals.cases import Case
from chassis.evals.endings import Refused, load
from chassis.evals.graders import Evaluator
from chassis.evals.judges import JudgeFailed
from chassis.evals.records import Record, Status, Trial
from chassis.task import Task

SHARED = {field.name for field in fields(Trial)} & {field.name for field in fields(Record)} - {"status", "error"}

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
    places = {case.id: place for place, case in enumerate(cases)}
    free = asyncio.Semaphore(at_once)

    async def judged(trial: Trial, evaluator: Evaluator) -> Record | None:
        case = cases[places[trial.case]]
        if evaluator.is_judge:
            if earlier := known.get((trial.call_id, evaluator.name, evaluator.fingerprint)):
                return earlier
            async with free:
                return await _record(trial, case, evaluator, task)
        return await _record(trial, case, evaluator, task)

    pairs = [(trial, evaluator) for trial in trials if trial.case in places for evaluator in evaluators]
    records = await asyncio.gather(*(judged(trial, evaluator) for trial, evaluator in pairs))
    kept = [record for record in records if record is not None]
    return sorted(kept, key=lambda record: (record.arm, places[record.case], record.repeat))


async def _record(trial: Trial, case: Case[Any], evaluator: Evaluator, task: Task[Any, Any]) -> Record | None:
    status, error = trial.status, trial.error
    value = 0.0 if status == "fail_service" else None
    if trial.ending is None or status != "ok":
        # Without an ending to grade, ask about one that no answer could hide in: does it speak of this case at all?
        if not evaluator.applies(case, Refused(error or "")):
            return None
    else:
        try:
            value = await evaluator.value(case, load(trial.ending, task.gives))
        except JudgeFailed as failure:
            status, error = _judge_error(failure)
        if value is None and status == "ok":
            return None
    return Record(
        **{name: fact for name, fact in asdict(trial).items() if name in SHARED},
        status=status,
        error=error,
        case_hash=case.digest,
        group=case.group or case.id,
        tags=case.tags,
        split=case.split,
        must_pass=case.must_pass,
        evaluator=evaluator.name,
        evaluator_hash=evaluator.fingerprint,
        value=value,
    )


def _judge_error(failure: JudgeFailed) -> tuple[Status, str]:
    return "judge_error", str(failure)
