"""The files that a run leaves behind: trials, the judgements of judges, and scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from chassis.usd import NanoUsd
from chassis_tools.evals.cases import Split
from chassis_tools.evals.jsonl import read_jsonl

TRIALS, JUDGEMENTS, RECORDS = "trials.jsonl", "judgements.jsonl", "records.jsonl"

type Variant = Literal["service", "baseline"]
"""What was asked: the service as callers get it, or the team's baseline alone, which a model must beat."""

type TrialStatus = Literal["ok", "failed", "outage", "judge_error", "skipped"]
"""`ok` has a value and `failed` scores 0. The other three say nothing about the service and are excluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunId:
    """What was measured, so that only comparable runs are compared.

    Args:
        run: When the run started, UTC.
        suite: The name of its suite.
        data_hash: Changes with the cases.
        prompts_hash: Changes with the team's code and the prompts in it.
        model_hash: Changes with the models that can answer, and their output caps.
    """

    run: str
    suite: str
    data_hash: str
    prompts_hash: str
    model_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSummary(RunId):
    """One case asked once, without question, answer or score.

    Args:
        variant: What was asked.
        case: The id of the case.
        repeat: 1 for the first time, 2 for the second.
        status: Whether the trial says something about the service.
        error: The name of the error, if there was one.
        seconds: How long it took; for a recorded reply, how long it took when it was recorded.
        cost: What it cost.
        input_tokens: Tokens that models read.
        output_tokens: Tokens that models wrote.
        call_id: The id of the call in the log.
        trace_id: The id of its trace.
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
    """One case asked once, with the answer.

    Args:
        outcome: As `outcome_to_json` writes it; None if the call failed.
    """

    outcome: dict[str, JsonValue] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecord(TrialSummary):
    """The score that one evaluator gives to one trial. It holds no question and no answer.

    Args:
        case_hash: Changes with the question and the expected answer.
        group: The group of the case, or its id if it has none.
        tags: Those of the case.
        split: That of the case.
        must_pass: That of the case.
        evaluator: The name of the evaluator.
        evaluator_hash: Changes with the evaluator.
        value: From 0 (wrong) to 1 (right); None if the trial is excluded.
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
    """What a judge says about one trial.

    Args:
        call_id: The trial.
        evaluator: The judge.
        evaluator_hash: Changes with the judge.
        value: 1 for PASS and 0 for FAIL; None if the judge failed.
        error: The name of the error, if there was one.
        reason: The judge's reason, in its own words.
        cost: What it cost to ask.
    """

    call_id: str
    evaluator: str
    evaluator_hash: str
    value: float | None
    error: str | None
    reason: str
    cost: NanoUsd


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """Everything that a run of one suite wrote; empty for a suite that has not been run."""

    trials: Sequence[Trial] = ()
    judgements: Sequence[Judgement] = ()
    records: Sequence[ScoreRecord] = ()

    @property
    def cost(self) -> NanoUsd:
        """Return what the run cost, judges included."""
        return sum(trial.cost for trial in self.trials) + self.judges_cost

    @property
    def judges_cost(self) -> NanoUsd:
        """Return what the judges cost."""
        return sum(judgement.cost for judgement in self.judgements)


def read_run(folder: Path, remedy: str) -> SuiteRun:
    """Read the files of a run; those that are missing count as empty.

    Raises:
        ConfigError: A line cannot be read; the error ends with `remedy`.
    """
    return SuiteRun(
        trials=read_jsonl(folder / TRIALS, Trial, remedy),
        judgements=read_jsonl(folder / JUDGEMENTS, Judgement, remedy),
        records=read_jsonl(folder / RECORDS, ScoreRecord, remedy),
    )
