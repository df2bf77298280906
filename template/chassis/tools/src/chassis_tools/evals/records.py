"""The files that a run leaves behind: what came back, what judges said of it, and how good it was."""

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from chassis.usd import NanoUsd
from chassis_tools.evals.cases import Split

TRIALS, JUDGEMENTS, RECORDS = "trials.jsonl", "judgements.jsonl", "records.jsonl"

type Variant = Literal["service", "baseline"]
"""Who was asked: the service as callers get it, or the team's baseline alone, which a model must beat."""

type TrialStatus = Literal["ok", "failed", "outage", "judge_error", "skipped"]
"""`ok` has a value and `failed` scores 0. The other three say nothing about the service and are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunId:
    """What was measured, so that nobody compares what cannot be compared.

    Args:
        run: When it began.
        suite: Its suite.
        data_hash: Changes with the cases.
        prompts_hash: Changes with the team's code and the prompts in it.
        model_hash: Changes with the models that could answer, and their caps.
    """

    run: str
    suite: str
    data_hash: str
    prompts_hash: str
    model_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSummary(RunId):
    """One case, asked once: all that needs no question, no answer and no judgement.

    Args:
        variant: Who was asked.
        case: The id of the case.
        repeat: 1 for the first time, 2 for the second.
        status: Whether this says something about the service.
        error: The name of what went wrong.
        seconds: How long it took.
        cost: What it cost.
        input_tokens: What models read for it.
        output_tokens: What models wrote.
        call_id: Its log line has the same.
        trace_id: Its spans have the same.
    """

    variant: Variant
    case: str
    repeat: int
    status: TrialStatus
    error: str | None
    seconds: float
    cost: NanoUsd
    input_tokens: int
    output_tokens: int
    call_id: str
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(TrialSummary):
    """What came back.

    Args:
        outcome: As in `outcomes.py`; None if nothing did.
    """

    outcome: dict[str, JsonValue] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecord(TrialSummary):
    """What one evaluator says of one trial; holds no question and no answer. Its `status` may be `judge_error`.

    Args:
        case_hash: Changes when the question or what is expected does.
        group: What the case comes from; its own id if it comes alone.
        tags: Those of the case.
        split: That of the case.
        must_pass: That of the case.
        evaluator: Who says so.
        evaluator_hash: Changes with the evaluator.
        value: 0 is wrong and 1 is right; None if left out.
    """

    case_hash: str
    group: str
    tags: tuple[str, ...]
    split: Split
    must_pass: bool
    evaluator: str
    evaluator_hash: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge said of one trial.

    Args:
        call_id: The trial.
        evaluator: The judge.
        evaluator_hash: Changes with the judge.
        value: 0 has the failure and 1 has not; None if the judge erred.
        error: The name of what went wrong.
        reason: Why, in the judge's words.
        cost: What it cost to ask.
    """

    call_id: str
    evaluator: str
    evaluator_hash: str
    value: float | None
    error: str | None
    reason: str
    cost: NanoUsd
