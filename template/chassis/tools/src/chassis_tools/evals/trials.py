"""Asks the service each case, a few at a time, and writes each trial down as soon as it ends."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.call import Call
from chassis.clock import now
from chassis.contract import Answered
from chassis.errors import ConfigError, InputNotAllowed
from chassis.telemetry.instruments import current_trace_id
from chassis_tools.evals.cases import Case
from chassis_tools.evals.identity import (
    RunIdentity,
    confidence_hash,
    constraints_hash,
    current_commit,
    documents_hash,
    json_hash,
    model_identity,
)
from chassis_tools.evals.jsonl import JsonlWriter, Progress
from chassis_tools.evals.records import (
    TRIALS,
    CaseOutcome,
    Refused,
    SuiteRun,
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


def identify_run(environment: "EvalEnvironment", cases: Sequence[Case[Any]]) -> RunIdentity:
    """Return what a run of these cases in this environment measures."""
    root, guard = environment.plan.project.root, environment.service.guard
    return RunIdentity(
        started=f"{now():%Y-%m-%dT%H:%M:%SZ}",
        commit=current_commit(root),
        cases=json_hash([[case.id, case.hash] for case in cases]),
        code=environment.code_hash,
        documents=documents_hash(root),
        constraints=constraints_hash(environment.plan.constraints),
        confidence=confidence_hash(environment.service.calibration),
        models=tuple(model_identity(candidate.config) for candidate in guard.candidates) if guard else (),
    )


def finished_trials(suite: str, earlier: SuiteRun, identity: RunIdentity) -> list[Trial]:
    """Return the trials of an earlier run that need not be repeated: those that say something about the service.

    Raises:
        ConfigError: The earlier run measured something else.
    """
    if earlier.trials and (changes := identity.changes_since(earlier.identity)):
        problem = f"the {' and the '.join(changes)} changed since the run of {earlier.identity.started or 'old'}"
        raise ConfigError(f"{suite}/{TRIALS}", problem, "Run the suite again without --resume")
    return [trial for trial in earlier.trials if trial.status in {"ok", "failed"}]


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
    writer: JsonlWriter[Trial],
    progress: Progress,
) -> None:
    """Ask every planned trial, at most `max_concurrency` at a time, and hand each to the writer."""
    slots = asyncio.Semaphore(environment.plan.suite.max_concurrency)

    async def run_one(trial: PlannedTrial) -> None:
        async with slots:
            writer.append(await _run_trial(environment, trial))
            progress.advance()

    async with asyncio.TaskGroup() as tasks:
        for trial in planned:
            tasks.create_task(run_one(trial))


async def _run_trial(environment: "EvalEnvironment", trial: PlannedTrial) -> Trial:
    service, observed = environment.for_trial(trial.variant)
    call = environment.new_call()
    started = time.perf_counter()
    with environment.instruments.span("chassis evals", {}):
        trace_id = current_trace_id()
        outcome, failure = await _answer(service, trial.case, call)
    seconds = time.perf_counter() - started + observed.recorded_seconds
    first_model = service.guard.candidates[0].config.name if service.guard else None
    status, error = trial_status(outcome, failure, call.turns, first_model)
    return Trial(
        variant=trial.variant,
        case=trial.case.id,
        repeat=trial.repeat,
        status=status,
        error=error,
        answered_by=outcome.answered_by if isinstance(outcome, Answered) else None,
        outcome=outcome_to_json(outcome) if outcome else None,
        seconds=round(seconds, 6),
        cost=call.cost,
        input_tokens=sum(attempt.input_tokens for attempt in call.attempts),
        output_tokens=sum(attempt.output_tokens for attempt in call.attempts),
        call_id=call.id,
        trace_id=trace_id,
        tool_calls=tuple(observed.tool_calls),
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
