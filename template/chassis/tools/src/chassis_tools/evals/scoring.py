"""Scores trials with evaluators: the team's functions in `evals/graders.py`, and judges through the same interface."""

import asyncio
import inspect
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from chassis.config.toml_file import check_regular
from chassis.contract import Answered, Task
from chassis.errors import ConfigError
from chassis.usd import NanoUsd
from chassis_tools.evals.cases import Case
from chassis_tools.evals.fingerprint import Fingerprints
from chassis_tools.evals.jsonl import JsonlWriter, Progress, as_dict
from chassis_tools.evals.records import (
    CaseOutcome,
    Judgement,
    Refused,
    ScoreRecord,
    SuiteRun,
    Trial,
    TrialStatus,
    TrialSummary,
    outcome_from_json,
)

FILE = "evals/graders.py"
GRADER_INPUTS = 2
"""Every grader takes a case and an outcome; one with a third parameter also gets the trial."""
SHARED_FIELDS = {field.name for field in fields(TrialSummary)} - {"status", "error"}

type Grader = Callable[..., object]
"""A function of the team: `name(case, outcome)` or `name(case, outcome, trial)`.

Whether it returns a bool, a number from 0 to 1, a `Score` or None is checked at each call.
"""


class JudgeFailed(Exception):
    """A judge could not be asked, or answered neither PASS nor FAIL.

    Args:
        error: The name of the error.
        reason: What the judge said instead.
        cost: What the attempt cost.
    """

    def __init__(self, error: str, reason: str = "", cost: NanoUsd = 0) -> None:
        super().__init__(error)
        self.reason, self.cost = reason, cost


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluator says about one outcome. A grader returns one to give a reason.

    Args:
        value: From 0 (wrong) to 1 (right).
        reason: Why; the report shows it.
        cost: What it cost to ask a judge.
    """

    value: float
    reason: str = ""
    cost: NanoUsd = 0


@dataclass(frozen=True, slots=True)
class Evaluator(ABC):
    """Scores outcomes.

    Args:
        name: Its name in suites and records.
        hash: Changes with the evaluator, because the scores of two versions cannot be compared.
    """

    name: str
    hash: str
    is_judge: ClassVar[bool] = False
    """A judge asks a model about each answer, which costs money and can raise `JudgeFailed`."""

    @abstractmethod
    async def evaluate(self, case: Case[Any], outcome: CaseOutcome[Any], trial: Trial) -> Score | None:
        """Return the score of the outcome of a trial, or None if the evaluator does not apply to it."""


@dataclass(frozen=True, slots=True)
class GraderEvaluator(Evaluator):
    """A function of the team as an evaluator."""

    grader: Grader

    async def evaluate(self, case: Case[Any], outcome: CaseOutcome[Any], trial: Trial) -> Score | None:
        """Return what the function returns.

        Raises:
            ConfigError: The function raises, or returns something else than a score.
        """
        try:
            value = self.grader(case, outcome, trial) if _takes_trial(self.grader) else self.grader(case, outcome)
        except Exception as error:
            problem = f"{self.name} fails on the case {case.id!r} with {type(error).__name__}: {error}"
            raise ConfigError(FILE, problem, "Correct the grader or the case") from error
        if value is None:
            return None
        number, reason = (value.value, value.reason) if isinstance(value, Score) else (value, "")
        if not isinstance(number, bool | int | float) or not 0 <= number <= 1:
            problem = f"{self.name} returns {value!r} for the case {case.id!r}"
            remedy = "Return True, False, a number from 0 to 1, a Score, or None if it does not apply"
            raise ConfigError(FILE, problem, remedy)
        return Score(float(number), reason)


@dataclass(frozen=True, slots=True)
class Graders:
    """The content of `evals/graders.py`.

    Args:
        fingerprints: Compute the hash of each; None if there is no such file.
        functions: Its functions, by name.
        root: The root of the project.
    """

    fingerprints: Fingerprints | None
    functions: Mapping[str, object]
    root: Path

    @classmethod
    def execute(cls, source: str | None, root: Path) -> "Graders":
        """Execute the text of `evals/graders.py` of the project at `root`.

        Raises:
            ConfigError: It is not valid Python, or it raises an error.
        """
        module = ModuleType("evals_graders")
        # Some decorators, such as dataclass, look up the module of a class by its name.
        sys.modules[module.__name__] = module
        try:
            exec(compile(source or "", FILE, "exec"), vars(module))  # noqa: S102  it is the team's own code
        except Exception as error:
            raise _import_error(error, root) from error
        return cls(None if source is None else Fingerprints(root, source), vars(module), root)

    def function(self, name: str) -> Grader:
        """Return the function `name(case, outcome)`.

        Raises:
            ConfigError: There is no such file or function.
        """
        grader = self.functions.get(name)
        if not callable(grader):
            problem = "there is no such file" if self.fingerprints is None else f"it has no function {name!r}"
            raise ConfigError(FILE, problem, f"Write `def {name}(case, outcome) -> bool` in it")
        return grader

    def evaluator(self, name: str) -> GraderEvaluator:
        """Return the function `name(case, outcome)` as an evaluator; see `function`."""
        function = self.function(name)
        try:
            fingerprint = self.fingerprints.of(name) if self.fingerprints else ""
        except RecursionError:
            problem = f"{name!r} reaches code that is nested too deeply to be compared with the accepted run"
            raise ConfigError(FILE, problem, "Write long sums of texts as a list that is joined") from None
        except SyntaxError as error:  # in a module that only this function imports
            raise _import_error(error, self.root) from None
        return GraderEvaluator(name, fingerprint, function)


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

    def record(
        self, evaluator: Evaluator, value: float | None, status: TrialStatus, error: str | None, reason: str = ""
    ) -> ScoreRecord:
        """Return the score of one evaluator as a record."""
        return ScoreRecord(
            **self.shared,
            evaluator=evaluator.name,
            evaluator_hash=evaluator.hash,
            status=status,
            error=error,
            value=value,
            reason=reason,
        )


class Judgements:
    """The judgements of a run; each is asked for once, and written down as soon as it is paid for.

    Args:
        writer: Where judgements are kept; its rows are those of an earlier, stopped run.
        max_concurrency: How many judges are asked at the same time.
        progress: Advances with each new judgement.
    """

    def __init__(self, writer: JsonlWriter[Judgement], max_concurrency: int, progress: Progress) -> None:
        self._writer, self._progress = writer, progress
        self._slots = asyncio.Semaphore(max_concurrency)
        # A judge that failed is asked again.
        self._known = {(row.call_id, row.evaluator, row.evaluator_hash): row for row in writer.rows if not row.error}

    def find(self, scoring: TrialScoring, judge: Evaluator) -> Judgement | None:
        """Return what the judge said about this trial before, if it did."""
        return self._known.get((scoring.trial.call_id, judge.name, judge.hash))

    async def ask(self, scoring: TrialScoring, judge: Evaluator, answer: Answered[Any]) -> Judgement:
        """Ask the judge about an answer."""
        value, error = None, None
        async with self._slots:
            try:
                score = await judge.evaluate(scoring.case, answer, scoring.trial)
                value, reason, cost = (score.value, score.reason, score.cost) if score else (None, "", 0)
            except JudgeFailed as failure:
                error, reason, cost = str(failure), failure.reason, failure.cost
        version = {"evaluator": judge.name, "evaluator_hash": judge.hash}
        call_id = scoring.trial.call_id
        judgement = Judgement(call_id=call_id, **version, value=value, error=error, reason=reason, cost=cost)
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
    answers = [scoring for scoring in scorings if isinstance(scoring.outcome, Answered)]
    progress.start("judgements", sum(not judgements.find(answer, judge) for answer in answers for judge in judges))
    scored = await asyncio.gather(*(_score_trial(scoring, evaluators, judgements) for scoring in scorings))
    return [record for records in scored for record in records]


async def altered_scores(
    accepted: SuiteRun, cases: Iterable[Case[Any]], evaluators: Sequence[Evaluator], task: Task[Any, Any]
) -> tuple[str, ...]:
    """Return the cases whose score in the accepted run is not the one that its answer gets.

    Only graders that have not changed score again; cases that have changed are left out.
    """
    hashes, by_id = {case.id: case.hash for case in cases}, {case.id: case for case in cases}
    graders = {grader.name: grader for grader in evaluators if not grader.is_judge}
    trials = {(trial.variant, trial.case, trial.repeat): trial for trial in accepted.trials}
    altered: list[str] = []
    for record in accepted.records:
        trial, grader = trials.get((record.variant, record.case, record.repeat)), graders.get(record.evaluator)
        if grader is None or grader.hash != record.evaluator_hash or hashes.get(record.case) != record.case_hash:
            continue
        if trial is not None and trial.status == "ok" and trial.outcome is not None:
            outcome = outcome_from_json(trial.outcome, task.gives)
            score = await grader.evaluate(by_id[record.case], outcome, trial)
            is_altered = score is None or score.value != record.value or record.status != "ok"
        else:
            is_altered = trial is None or record.status != trial.status or (record.value or 0) > 0
        if is_altered:
            altered.append(record.case)
    return tuple(dict.fromkeys(altered))


def read_graders(root: Path) -> str | None:
    """Return the text of `evals/graders.py` of the project at `root`, or None if there is no such file.

    Raises:
        ConfigError: It is a folder, it may not be read, or it is not UTF-8.
    """
    path = root / FILE
    try:
        if not path.is_dir():
            check_regular(path, FILE)
        return path.read_text(encoding="utf-8-sig") if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(FILE, f"the file cannot be read ({error})", "Save it as UTF-8 text") from None


def _import_error(error: Exception, root: Path) -> ConfigError:
    """Return what is wrong with the graders, at the last line of the team that was executed."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    problem = f"{type(error).__name__} while it is imported ({error})"
    if isinstance(error, SyntaxError):
        places.append((error.filename or FILE, error.lineno))
        problem = f"not valid Python ({error.msg})"
    for file, line in reversed(places):
        path = root / file  # that of an absolute path is the path itself
        if path.is_file() and path.is_relative_to(root):
            name = path.relative_to(root).as_posix()
            if not name.startswith((".", "chassis/")):
                return ConfigError(f"{name}, line {line}" if line else name, problem, "Correct that line")
    return ConfigError(FILE, problem, "Correct the file")


async def _score_trial(
    scoring: TrialScoring, evaluators: Sequence[Evaluator], judgements: Judgements
) -> list[ScoreRecord]:
    trial, outcome = scoring.trial, scoring.outcome
    if outcome is None:
        return await _records_without_outcome(scoring, evaluators)
    records: list[ScoreRecord] = []
    for evaluator in evaluators:
        if not evaluator.is_judge:
            if score := await evaluator.evaluate(scoring.case, outcome, trial):
                records.append(scoring.record(evaluator, score.value, trial.status, trial.error, score.reason))
        elif isinstance(outcome, Answered):
            judgement = judgements.find(scoring, evaluator) or await judgements.ask(scoring, evaluator, outcome)
            status: TrialStatus = "judge_error" if judgement.error else "ok"
            records.append(scoring.record(evaluator, judgement.value, status, judgement.error, judgement.reason))
    return records


async def _records_without_outcome(scoring: TrialScoring, evaluators: Sequence[Evaluator]) -> list[ScoreRecord]:
    """Return the records of a trial without an outcome: 0 if the service failed, no value after an outage.

    Only evaluators that apply to a refusal in this case count it. If none does, all of them do: a grader that looks at
    answers alone would otherwise lose sight of every crash.
    """
    trial, refused = scoring.trial, Refused(scoring.trial.error or "")
    applicable = [each for each in evaluators if await each.evaluate(scoring.case, refused, trial) is not None]
    value = 0.0 if trial.status == "failed" else None
    return [scoring.record(each, value, trial.status, trial.error) for each in applicable or evaluators]


@cache
def _takes_trial(grader: Grader) -> bool:
    """Return whether a grader has a third parameter, for what the answer took besides what it says."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in inspect.signature(grader).parameters.values()) > GRADER_INPUTS
