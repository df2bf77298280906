"""Asks the service every case, a few at a time, and writes down what came back as soon as it does."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from chassis.call import Call
from chassis.clock import now
from chassis.errors import ConfigError, InputNotAllowed
from chassis.service import Service
from chassis.telemetry.instruments import current_trace_id
from chassis_tools.evals.cases import Case
from chassis_tools.evals.environment import EvalEnvironment
from chassis_tools.evals.jsonl import JsonlWriter, as_dict, json_hash, read_jsonl
from chassis_tools.evals.outcomes import CaseOutcome, Refused, outcome_to_json, trial_status
from chassis_tools.evals.recordings import Playback, playback
from chassis_tools.evals.records import TRIALS, RunId, Trial, Variant

REMEDY = "Run the suite again without --resume"

type Turn = tuple[Variant, Service[Any, Any], Case[Any], int]
"""Who is to be asked what, for which time."""


def stamp_of(name: str, cases: Sequence[Case[Any]], stage: EvalEnvironment) -> RunId:
    """Return what this run measures."""
    data = json_hash([[case.id, case.digest] for case in cases])
    run = f"{now():%Y-%m-%dT%H:%M:%SZ}"
    return RunId(run=run, suite=name, data_hash=data, prompts_hash=stage.prompts_hash, model_hash=stage.model_hash)


def earlier_trials(folder: Path, stamp: RunId) -> list[Trial]:
    """Return what a stopped run of the same cases, code and models left, without what says nothing.

    Raises:
        ConfigError: It was about something else.
    """
    trials = read_jsonl(folder / TRIALS, Trial, REMEDY)
    for trial in trials:
        for what in ("data", "prompts", "model"):
            key = f"{what}_hash"
            if getattr(trial, key) != getattr(stamp, key):
                problem = f"the {what} changed since the run of {trial.run}"
                raise ConfigError(f"{folder.name}/{TRIALS}", problem, REMEDY)
    return [trial for trial in trials if trial.status in {"ok", "failed"}]


def turns_of(stage: EvalEnvironment, cases: Sequence[Case[Any]], repeats: int, done: Iterable[Trial]) -> list[Turn]:
    """Return what is left to ask: each case so often of the service, and once of the baseline, which never varies."""
    asked = {(trial.variant, trial.case, trial.repeat) for trial in done}
    turns: list[Turn] = []
    for repeat in range(1, repeats + 1):
        turns.extend(("service", stage.service, case, repeat) for case in cases)
    if stage.baseline:
        turns.extend(("baseline", stage.baseline, case, 1) for case in cases)
    return [turn for turn in turns if (turn[0], turn[2].id, turn[3]) not in asked]


async def run(
    stage: EvalEnvironment, turns: Sequence[Turn], stamp: RunId, at_once: int, notebook: JsonlWriter[Trial]
) -> list[Trial]:
    """Ask every turn and return the trials, those already done included."""
    free = asyncio.Semaphore(at_once)

    async def take(turn: Turn) -> None:
        async with free:
            notebook.append(await _ask(stage, turn, stamp))

    with notebook:
        async with asyncio.TaskGroup() as tasks:
            for turn in turns:
                tasks.create_task(take(turn))
    return notebook.rows


async def _ask(stage: EvalEnvironment, turn: Turn, stamp: RunId) -> Trial:
    variant, service, case, repeat = turn
    call = service.new_call(stage.caller)
    replayed = Playback()
    mark = playback.set(replayed)
    started = time.perf_counter()
    with stage.wiring.telemetry.instruments.span("chassis evals", {}):
        trace_id = current_trace_id()
        outcome, failure = await _outcome(service, case, call)
    seconds = time.perf_counter() - started + replayed.seconds
    playback.reset(mark)
    first = service.guard.candidates[0].config.name if service.guard else None
    status, error = trial_status(outcome, failure, call.turns, first, missing=replayed.missing)
    return Trial(
        **as_dict(stamp),
        variant=variant,
        case=case.id,
        repeat=repeat,
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


async def _outcome(
    service: Service[Any, Any], case: Case[Any], call: Call
) -> tuple[CaseOutcome[Any] | None, Exception | None]:
    try:
        return await service.answer(case.input, call), None
    except InputNotAllowed as refusal:
        return Refused(refusal.slug), None
    except Exception as failure:  # noqa: BLE001  whatever it is, the case stays in the count
        return None, failure
