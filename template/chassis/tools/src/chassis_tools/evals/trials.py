"""Asks the service each case, a few at a time, and writes each trial down as soon as it ends."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.call import Call
from chassis.clock import now
from chassis.errors import ConfigError, InputNotAllowed
from chassis.telemetry.instruments import current_trace_id
from chassis_tools.evals.cases import Case
from chassis_tools.evals.hashes import json_hash
from chassis_tools.evals.jsonl import JsonlWriter, Progress, as_dict
from chassis_tools.evals.records import (
    TRIALS,
    CaseOutcome,
    Refused,
    RunId,
    Trial,
    Variant,
    outcome_to_json,
    trial_status,
)

if TYPE_CHECKING:  # the environment imports pydantic-ai, which judging a finished run does not need
    from chassis.service import Service
    from chassis_tools.evals.environment import EvalEnvironment


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One case to be asked once.

    Args:
        variant: What is asked.
        case: The case.
        repeat: 1 for the first time, 2 for the second.
    """

    variant: Variant
    case: Case[Any]
    repeat: int


def make_run_id(environment: "EvalEnvironment", cases: Sequence[Case[Any]]) -> RunId:
    """Return what a run of these cases in this environment measures."""
    return RunId(
        run=f"{now():%Y-%m-%dT%H:%M:%SZ}",
        suite=environment.plan.name,
        data_hash=json_hash([[case.id, case.hash] for case in cases]),
        prompts_hash=environment.prompts_hash,
        model_hash=environment.model_hash,
    )


def finished_trials(trials: Iterable[Trial], run_id: RunId) -> list[Trial]:
    """Return the trials of an earlier run that need not be repeated: those that say something about the service.

    Raises:
        ConfigError: The earlier run had other cases, code or models.
    """
    trials = list(trials)
    for trial in trials:
        for subject in ("data", "prompts", "model"):
            key = f"{subject}_hash"
            if getattr(trial, key) != getattr(run_id, key):
                problem = f"the {subject} changed since the run of {trial.run}"
                raise ConfigError(f"{run_id.suite}/{TRIALS}", problem, "Run the suite again without --resume")
    return [trial for trial in trials if trial.status in {"ok", "failed"}]


def plan_trials(
    environment: "EvalEnvironment", cases: Sequence[Case[Any]], repeats: int, done: Iterable[Trial]
) -> list[PlannedTrial]:
    """Return what is left to ask: the service every repeat, and the baseline once, because it does not vary."""
    asked = {(trial.variant, trial.case, trial.repeat) for trial in done}
    planned = [PlannedTrial("service", case, repeat) for repeat in range(1, repeats + 1) for case in cases]
    if environment.baseline:
        planned.extend(PlannedTrial("baseline", case, 1) for case in cases)
    return [trial for trial in planned if (trial.variant, trial.case.id, trial.repeat) not in asked]


async def run_trials(
    environment: "EvalEnvironment",
    planned: Iterable[PlannedTrial],
    run_id: RunId,
    writer: JsonlWriter[Trial],
    progress: Progress,
) -> None:
    """Ask every planned trial, at most `max_concurrency` at a time, and hand each to the writer."""
    slots = asyncio.Semaphore(environment.plan.suite.max_concurrency)

    async def run_one(trial: PlannedTrial) -> None:
        async with slots:
            writer.append(await _run_trial(environment, trial, run_id))
            progress.advance()

    async with asyncio.TaskGroup() as tasks:
        for trial in planned:
            tasks.create_task(run_one(trial))


async def _run_trial(environment: "EvalEnvironment", trial: PlannedTrial, run_id: RunId) -> Trial:
    service, playback = environment.for_trial(trial.variant)
    call = environment.new_call()
    started = time.perf_counter()
    with environment.instruments.span("chassis evals", {}):
        trace_id = current_trace_id()
        outcome, failure = await _answer(service, trial.case, call)
    seconds = time.perf_counter() - started + playback.seconds
    first_model = service.guard.candidates[0].config.name if service.guard else None
    status, error = trial_status(outcome, failure, call.turns, first_model)
    return Trial(
        **as_dict(run_id),
        variant=trial.variant,
        case=trial.case.id,
        repeat=trial.repeat,
        status=status,
        error=error,
        outcome=outcome_to_json(outcome) if outcome else None,
        seconds=round(seconds, 6),
        cost=call.cost,
        input_tokens=sum(attempt.input_tokens for attempt in call.attempts),
        output_tokens=sum(attempt.output_tokens for attempt in call.attempts),
        call_id=call.id,
        trace_id=trace_id,
    )


async def _answer(
    service: "Service[Any, Any]", case: Case[Any], call: Call
) -> tuple[CaseOutcome[Any] | None, Exception | None]:
    try:
        return await service.answer(case.input, call), None
    except InputNotAllowed as refusal:
        return Refused(refusal.slug), None
    except Exception as failure:  # noqa: BLE001  whatever it is, the case stays in the count
        return None, failure
