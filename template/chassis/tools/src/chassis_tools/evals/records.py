"""The files of a run: what each trial ended with, what judges said about it, and how every evaluator scored it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, JsonValue

from chassis.call import Attempt, Turn
from chassis.config.typed_values import value_from_json, value_to_json
from chassis.contract import Answered, FallbackReason, Outcome, Referred
from chassis.errors import BudgetExhausted, DatabaseUnavailable, ModelsFailed, ModelsOff
from chassis.usd import NanoUsd, to_usd
from chassis_tools.evals.cases import Split
from chassis_tools.evals.identity import HISTORY, IDENTITY, Acceptance, RunIdentity, json_hash
from chassis_tools.evals.jsonl import read_json, read_jsonl, to_json_line

TRIALS, JUDGEMENTS, RECORDS = "trials.jsonl", "judgements.jsonl", "records.jsonl"
NOT_RECORDED = "NotRecorded"
"""The error of a replay that needs a reply which is not recorded."""
CONFIDENCE_DIGITS = 6
"""Sums of the same numbers in another order differ in the last digits, which must not look like another answer."""
OUR_FAILURES = ("TimedOut", "Reply", "Rejected", "ContextWindow", "UnexpectedModelBehavior")
"""Parts of the names of failures that a better prompt, output cap or deadline would have prevented."""

type Variant = Literal["service", "baseline"]
"""What was asked: the service as callers get it, or the team's baseline alone, which a model must beat."""

type TrialStatus = Literal["ok", "failed", "outage", "judge_error", "skipped"]
"""`ok` has a value and `failed` scores 0. The other three say nothing about the service and are excluded."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The data policy refused the question; for some questions that is the right outcome.

    Args:
        rule: The slug of the error that a caller gets, such as `input-not-allowed`.
    """

    rule: str


type CaseOutcome[A] = Outcome[A] | Refused
"""What a grader gets: an answer, a referral to a person, or a refusal by the data policy."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that a model called, with the arguments that it gave."""

    name: str
    arguments: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSummary:
    """One case asked once, without question, answer or score.

    Args:
        variant: What was asked.
        case: The id of the case.
        repeat: 1 for the first time, 2 for the second.
        status: Whether the trial says something about the service.
        error: The name of the error, if there was one.
        answered_by: The model, `baseline` or `task`; None if there was no answer.
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
    answered_by: str | None = None
    seconds: float
    cost: NanoUsd
    input_tokens: int
    output_tokens: int
    call_id: str
    trace_id: str | None

    @property
    def is_by_model(self) -> bool:
        """Return whether a model answered, rather than the baseline, a person or the task by itself."""
        return self.answered_by not in {None, "baseline", "task"}

    @property
    def cost_usd(self) -> float:
        """Return what it cost, in US dollars."""
        return to_usd(self.cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(TrialSummary):
    """One case asked once, with the answer.

    Args:
        outcome: As `outcome_to_json` writes it; None if the call failed.
        tool_calls: The tools that models called, in order.
    """

    outcome: dict[str, JsonValue] | None
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecord(TrialSummary):
    """The score that one evaluator gives to one trial.

    Args:
        case_hash: Changes with the question and the expected answer.
        group: The group of the case, or its id if it has none.
        tags: Those of the case.
        split: That of the case.
        must_pass: That of the case.
        evaluator: The name of the evaluator.
        evaluator_hash: Changes with the evaluator.
        value: From 0 (wrong) to 1 (right); None if the trial is excluded.
        reason: Why, in the words of the evaluator, if it says so.
    """

    case_hash: str
    group: str
    tags: tuple[str, ...]
    split: Split
    must_pass: bool
    evaluator: str
    evaluator_hash: str
    value: float | None
    reason: str = ""


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
    """Everything that a run of one suite wrote; empty for a suite that has not been run.

    Args:
        trials: What came back.
        judgements: What judges said.
        records: The score of every evaluator for every trial.
        identity: What was measured.
        history: Of the accepted run, the runs that were accepted, the latest last.
    """

    trials: Sequence[Trial] = ()
    judgements: Sequence[Judgement] = ()
    records: Sequence[ScoreRecord] = ()
    identity: RunIdentity = field(default_factory=RunIdentity)
    history: Sequence[Acceptance] = ()

    @property
    def hash(self) -> str:
        """Return the hash of the answers and scores, as `results_hash` returns it for their files."""
        return _digest("".join(map(to_json_line, rows)).encode() for rows in (self.trials, self.records))

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
        ConfigError: A file or a line cannot be read; the error ends with `remedy`.
    """
    history = read_jsonl(folder / HISTORY, Acceptance, remedy)
    identity = history[-1].identity if history else read_json(folder / IDENTITY, RunIdentity, remedy)
    return SuiteRun(
        trials=read_jsonl(folder / TRIALS, Trial, remedy, may_be_cut=True),
        judgements=read_jsonl(folder / JUDGEMENTS, Judgement, remedy, may_be_cut=True),
        records=read_jsonl(folder / RECORDS, ScoreRecord, remedy),
        identity=identity or RunIdentity(),
        history=history,
    )


def results_hash(folder: Path) -> str:
    """Return the hash of the answers and scores in the folder of a run."""
    files = (folder / name for name in (TRIALS, RECORDS))
    return _digest(file.read_bytes() if file.exists() else b"" for file in files)


def _digest(contents: Iterable[bytes]) -> str:
    return json_hash([sha256(content).hexdigest() for content in contents])


def outcome_to_json(outcome: CaseOutcome[Any]) -> dict[str, JsonValue]:
    """Return an outcome as JSON."""
    match outcome:
        case Answered():
            return {
                "answered_by": outcome.answered_by,
                "answer": value_to_json(outcome.value),
                "confidence": round(outcome.confidence, CONFIDENCE_DIGITS),
                "degraded": outcome.degraded,
                "fallback_reason": outcome.fallback_reason and outcome.fallback_reason.value,
            }
        case Referred():
            return {"referred": outcome.fallback_reason.value}
        case Refused():
            return {"refused": outcome.rule}


def outcome_from_json[A: BaseModel](data: dict[str, Any], gives: type[A]) -> CaseOutcome[A]:
    """Return the outcome that `outcome_to_json` wrote; the id and due date of a referral are not kept."""
    if "answer" in data:
        fallback_reason = FallbackReason(data["fallback_reason"]) if data["fallback_reason"] else None
        answer = value_from_json(gives, data["answer"])
        return Answered(answer, data["answered_by"], data["confidence"], data["degraded"], fallback_reason)
    if "referred" in data:
        return Referred("", FallbackReason(data["referred"]), datetime.min)  # noqa: DTZ901  never shown to anyone
    return Refused(data["refused"])


def trial_status(
    outcome: CaseOutcome[Any] | None, failure: Exception | None, turns: Iterable[Turn], first_model: str | None
) -> tuple[TrialStatus, str | None]:
    """Return whether a trial says something about the service, and the name of the error if not.

    An outage of a vendor says nothing about the service; a crash of the team's code does.

    Args:
        outcome: What came back, if anything.
        failure: What was raised instead.
        turns: The model requests of the call, each with its attempts.
        first_model: The first model of the chain, if there is one.
    """
    turns = tuple(turns)
    attempts = [attempt for turn in turns for attempt in turn.attempts]
    reason = _fallback_reason(outcome)
    if skipped := _why_skipped(reason, failure, attempts):
        return "skipped", skipped
    if reason is FallbackReason.DATABASE_DOWN or isinstance(failure, DatabaseUnavailable):
        return "outage", "DatabaseUnavailable"
    if reason is FallbackReason.MODELS_FAILED or isinstance(failure, ModelsFailed):
        errors = [attempt.error for attempt in attempts if attempt.error and not _is_ours(attempt.error)]
        if errors:
            return "outage", errors[0].lstrip("_")
        # The first model's circuit breaker was open, after a rejected key for instance: the answers of the models
        # behind it say nothing about it.
        if turns and first_model not in {attempt.model for attempt in attempts}:
            return "outage", "NotAsked"
    return ("ok", None) if failure is None else ("failed", type(failure).__name__)


def is_not_recorded(attempts: Iterable[Attempt]) -> bool:
    """Return whether a model request found no recorded reply."""
    return any(attempt.error == NOT_RECORDED for attempt in attempts)


def _why_skipped(reason: FallbackReason | None, failure: Exception | None, attempts: Iterable[Attempt]) -> str | None:
    """Return why no model was asked although one should have been, if so."""
    if is_not_recorded(attempts):
        return NOT_RECORDED
    if reason is FallbackReason.BUDGET_EXHAUSTED or isinstance(failure, BudgetExhausted):
        return "BudgetExhausted"
    if reason is FallbackReason.MODELS_OFF or isinstance(failure, ModelsOff):
        return "ModelsOff"
    return None


def _fallback_reason(outcome: CaseOutcome[Any] | None) -> FallbackReason | None:
    match outcome:
        case None | Refused():
            return None
        case Referred() | Answered():
            return outcome.fallback_reason


def _is_ours(error: str) -> bool:
    return any(part in error for part in OUR_FAILURES)
