"""Scores trials: every evaluator says how good every trial is, and judges are asked about each answer once."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from chassis.contract import Task
from chassis_tools.evals.cases import Case
from chassis_tools.evals.evaluators import Evaluator, JudgeFailed
from chassis_tools.evals.jsonl import JsonlWriter, Progress, as_dict
from chassis_tools.evals.outcomes import CaseOutcome, Refused, outcome_from_json
from chassis_tools.evals.records import Judgement, ScoreRecord, Trial, TrialStatus, TrialSummary

SHARED_FIELDS = {field.name for field in fields(TrialSummary)} - {"status", "error"}


@dataclass(frozen=True, slots=True)
class TrialScoring:
    """One trial with all that its evaluators need.

    Args:
        trial: The trial.
        case: Its case.
        outcome: What came back, or None if there is nothing to score.
        shared: The fields that all its score records have in common.
    """

    trial: Trial
    case: Case[Any]
    outcome: CaseOutcome[Any] | None
    shared: dict[str, Any]

    @classmethod
    def of(cls, trial: Trial, case: Case[Any], case_hash: str, task: Task[Any, Any]) -> "TrialScoring":
        """Prepare a trial for its evaluators."""
        values = as_dict(trial)
        shared = {name: values[name] for name in SHARED_FIELDS} | {
            "case_hash": case_hash,
            "group": case.group or case.id,
            "tags": case.tags,
            "split": case.split,
            "must_pass": case.must_pass,
        }
        outcome = None
        if trial.outcome is not None and trial.status == "ok":
            outcome = outcome_from_json(trial.outcome, task.gives)
        return cls(trial, case, outcome, shared)

    def record(self, evaluator: Evaluator, value: float | None, status: TrialStatus, error: str | None) -> ScoreRecord:
        """Return the score of one evaluator as a record."""
        return ScoreRecord(
            **self.shared,
            status=status,
            error=error,
            evaluator=evaluator.name,
            evaluator_hash=evaluator.hash,
            value=value,
        )

    def records_without_outcome(self, evaluators: Sequence[Evaluator]) -> Iterator[ScoreRecord]:
        """Yield the records of a trial without an outcome: 0 if the service failed, no value after an outage.

        Only evaluators that apply to a refusal in this case count it. If none does, all of them do: a grader that
        looks at answers alone would otherwise lose sight of every crash.
        """
        refused = Refused(self.trial.error or "")
        applicable = [evaluator for evaluator in evaluators if evaluator.applies(self.case, refused)]
        value = 0.0 if self.trial.status == "failed" else None
        for evaluator in applicable or evaluators:
            yield self.record(evaluator, value, self.trial.status, self.trial.error)


class Judgements:
    """The judgements of a run; each is asked for once, and written down as soon as it is paid for.

    Args:
        writer: Where judgements are kept; its rows are those of an earlier, stopped run.
        max_concurrency: How many judges are asked at the same time.
        progress: Hears of each new judgement.
    """

    def __init__(self, writer: JsonlWriter[Judgement], max_concurrency: int, progress: Progress) -> None:
        self._writer, self._progress = writer, progress
        self._slots = asyncio.Semaphore(max_concurrency)
        # A judge that failed is asked again.
        self._earlier = {_judgement_key(row): row for row in writer.rows if row.error is None}

    def is_due(self, scoring: TrialScoring, judge: Evaluator) -> bool:
        """Return whether the judge has to be asked about this trial."""
        if scoring.outcome is None or (scoring.trial.call_id, judge.name, judge.hash) in self._earlier:
            return False
        return judge.applies(scoring.case, scoring.outcome)

    async def get(self, scoring: TrialScoring, judge: Evaluator, outcome: CaseOutcome[Any]) -> Judgement | None:
        """Return what the judge says about an outcome, or None if it does not apply."""
        if not self.is_due(scoring, judge):
            return self._earlier.get((scoring.trial.call_id, judge.name, judge.hash))
        async with self._slots:
            judgement = await _ask_judge(scoring, judge, outcome)
        self._writer.append(judgement)
        self._progress.advance()
        return judgement


async def score_trials(
    scorings: Sequence[TrialScoring], evaluators: Sequence[Evaluator], judgements: Judgements, progress: Progress
) -> list[ScoreRecord]:
    """Return the score of every evaluator that applies, for each trial.

    Raises:
        ConfigError: A grader raises, or returns something else than a score.
    """
    judges = [evaluator for evaluator in evaluators if evaluator.is_judge]
    due = [judge for scoring in scorings for judge in judges if judgements.is_due(scoring, judge)]
    progress.start("judgements", len(due))
    scored = await asyncio.gather(*(_score_trial(scoring, evaluators, judgements) for scoring in scorings))
    return [record for records in scored for record in records]


async def _score_trial(
    scoring: TrialScoring, evaluators: Sequence[Evaluator], judgements: Judgements
) -> list[ScoreRecord]:
    outcome = scoring.outcome
    if outcome is None:
        return list(scoring.records_without_outcome(evaluators))
    scores = [await _score(scoring, evaluator, outcome, judgements) for evaluator in evaluators]
    return [record for record in scores if record is not None]


async def _score(
    scoring: TrialScoring, evaluator: Evaluator, outcome: CaseOutcome[Any], judgements: Judgements
) -> ScoreRecord | None:
    if evaluator.is_judge:
        judgement = await judgements.get(scoring, evaluator, outcome)
        if judgement is None:
            return None
        return scoring.record(evaluator, judgement.value, "judge_error" if judgement.error else "ok", judgement.error)
    score = await evaluator.evaluate(scoring.case, outcome)
    return None if score is None else scoring.record(evaluator, score.value, scoring.trial.status, scoring.trial.error)


async def _ask_judge(scoring: TrialScoring, judge: Evaluator, outcome: CaseOutcome[Any]) -> Judgement:
    value, error = None, None
    try:
        score = await judge.evaluate(scoring.case, outcome)
        value, reason, cost = (score.value, score.reason, score.cost) if score else (None, "", 0)
    except JudgeFailed as failure:
        error, reason, cost = str(failure), failure.reason, failure.cost
    return Judgement(
        call_id=scoring.trial.call_id,
        evaluator=judge.name,
        evaluator_hash=judge.hash,
        value=value,
        error=error,
        reason=reason,
        cost=cost,
    )


def _judgement_key(judgement: Judgement) -> tuple[str, str, str]:
    return judgement.call_id, judgement.evaluator, judgement.evaluator_hash
