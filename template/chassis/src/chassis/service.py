"""One question from a caller to an outcome: the model answers, or else the baseline, or else a person."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from pydantic import BaseModel

from chassis.call import Call, Deadline, new_call_id
from chassis.call_log import CallLog
from chassis.config.confidence import ConfidenceCalibration
from chassis.config.constraints import Constraints
from chassis.contract import Answered, Draft, FallbackReason, Outcome, Task
from chassis.draft import check_type, draft_by_model, only_exceptions, run_in_thread
from chassis.errors import (
    BudgetExhausted,
    CallError,
    DatabaseUnavailable,
    ModelsFailed,
    ModelsOff,
)
from chassis.guard.pipeline import Guard
from chassis.privacy.policy import check_question
from chassis.store.review_queue import ReviewQueue


@dataclass(frozen=True, slots=True)
class NoAnswer[A]:
    """The models gave no answer that the caller may see.

    Args:
        fallback_reason: Why.
        draft: What a model drafted, if anything; it helps the person who reviews the question.
        error: What the caller gets if `fallback` in the constraints says "error".
    """

    fallback_reason: FallbackReason
    draft: Draft[A] | None
    error: CallError


@dataclass(frozen=True, slots=True)
class Service[Q: BaseModel, A: BaseModel]:
    """The team's task, and everything that is needed to answer its callers.

    Args:
        task: What the team wrote.
        constraints: What the team decided.
        guard: The way to the models, or None if none of them can be asked.
        review_queue: Where people answer.
        call_log: Records how each call ended.
        calibration: Turns the confidence of a draft into the share of such drafts that were right.
    """

    task: Task[Q, A]
    constraints: Constraints
    guard: Guard | None
    review_queue: ReviewQueue
    call_log: CallLog
    calibration: ConfidenceCalibration = field(default_factory=ConfidenceCalibration)

    def new_call(self, caller: str, call_id: str | None = None, since: float | None = None) -> Call:
        """Begin a call, whose time runs from now, or from `since` in seconds of the monotonic clock."""
        return Call(
            id=call_id or new_call_id(),
            caller=caller,
            deadline=Deadline.after(self.constraints.latency.deadline_seconds, since),
            max_model_requests=self.constraints.limits.model_requests_per_call,
        )

    async def answer(self, question: Q, call: Call) -> Outcome[A]:
        """Answer a question, or refer it to a person.

        Raises:
            CallError: The policy, a limit or a rule of `fallback` rejects the call.
            Exception: Whatever the team's own code raised; it is never retried and never hidden.
        """
        # The scope is outermost, so that also a question that the policy rejects has its line in the log.
        # `only_exceptions` is inside: what it replaces is logged as what callers get.
        with self.call_log.scope(self.task.name, call, question) as scope, only_exceptions():
            check_question(question, self.constraints.data, self.task.recognizers)
            scope.question_length = _length(question)
            outcome = await self._ask_models(question, call)
            if isinstance(outcome, NoAnswer):
                outcome = await self._fall_back(question, call, outcome)
            scope.outcome = outcome
            if isinstance(outcome, Answered):
                # An answer that cannot be sent has failed, and is logged as such.
                scope.answer_length = len(outcome.value.model_dump_json(by_alias=True))
            return outcome

    async def _ask_models(self, question: Q, call: Call) -> Answered[A] | NoAnswer[A]:
        if self.guard is None:
            reason = "has a key" if self.constraints.models else "is configured"
            return NoAnswer(FallbackReason.NO_MODEL, None, ModelsFailed(f"No model {reason}"))
        try:
            draft = await draft_by_model(self.task, self.guard, question, call)
        # Only what `fallback` has a rule for. A mistake in the team's code is not hidden by a baseline that happens to
        # work.
        except (BudgetExhausted, DatabaseUnavailable, ModelsFailed) as error:
            return NoAnswer(_reason_for(error), None, error)
        draft = self.calibration.calibrated(draft, call.answerer or "task")
        if draft.confidence < self.constraints.quality.confidence_floor:
            return NoAnswer(FallbackReason.LOW_CONFIDENCE, draft, ModelsFailed("No model was confident enough"))
        return self._answered_by_model(draft, call, self.guard)

    def _answered_by_model(self, draft: Draft[A], call: Call, guard: Guard) -> Answered[A]:
        model = call.answerer
        degraded = model is not None and model != self.constraints.models[0].name
        # A first model that was skipped because its circuit breaker is open has failed, although it has no attempt.
        # One without an API key has not: it is in the constraints but not in the guard.
        skipped = model is not None and model != guard.candidates[0].config.name
        reason = None
        if any(turn.unaffordable for turn in call.turns):
            reason = FallbackReason.BUDGET_EXHAUSTED
        elif skipped or any(attempt.error for attempt in call.attempts):
            reason = FallbackReason.MODELS_FAILED
        return Answered(draft.value, model or "task", draft.confidence, degraded, reason)

    async def _fall_back(self, question: Q, call: Call, no_answer: NoAnswer[A]) -> Outcome[A]:
        match self._rule(no_answer.fallback_reason):
            case "error":
                raise no_answer.error
            case "baseline" | "cheaper":  # no cheaper chain was affordable either
                return await self._ask_baseline(question, call, no_answer)
            case _:
                return await self._refer(question, call, no_answer.fallback_reason, no_answer.draft)

    def _rule(self, fallback_reason: FallbackReason) -> str:
        """Return what `fallback` in the constraints says."""
        rules = self.constraints.fallback
        match fallback_reason:
            case FallbackReason.NO_MODEL | FallbackReason.MODELS_OFF:
                return "baseline"  # nothing went wrong: without models, the baseline is the service
            case FallbackReason.LOW_CONFIDENCE:
                return rules.low_confidence
            case FallbackReason.MODELS_FAILED:
                return rules.models_failed
            case FallbackReason.BUDGET_EXHAUSTED:
                return rules.budget_exhausted
            case FallbackReason.DATABASE_DOWN:
                return rules.database_down

    async def _ask_baseline(self, question: Q, call: Call, no_answer: NoAnswer[A]) -> Outcome[A]:
        reason = no_answer.fallback_reason
        # Not `for_models`: the reserve of the deadline was kept free for this.
        timeout = asyncio.timeout(call.deadline.remaining())
        try:
            async with timeout:
                draft = check_type(self.task, await run_in_thread(partial(self.task.baseline, question), "baseline"))
        except TimeoutError:
            if not timeout.expired():
                raise  # raised by the team's own code
            return await self._refer(question, call, reason, no_answer.draft)
        draft = self.calibration.calibrated(draft, "baseline")
        if draft.confidence < self.constraints.quality.confidence_floor:
            return await self._refer(question, call, reason, no_answer.draft or draft)
        # Without models in the constraints the baseline is the service, and its answers are not degraded.
        degraded = bool(self.constraints.models)
        return Answered(draft.value, "baseline", draft.confidence, degraded, reason)

    async def _refer(self, question: Q, call: Call, reason: FallbackReason, draft: Draft[A] | None) -> Outcome[A]:
        try:
            # A database that hangs would otherwise hold the caller far beyond the deadline.
            async with asyncio.timeout(call.deadline.for_review()):
                return await self.review_queue.refer(
                    self.task.name, call.caller, call.id, reason, question.model_dump_json(by_alias=True), draft
                )
        except TimeoutError:  # ours: the database drivers raise DatabaseUnavailable
            raise DatabaseUnavailable("too slow") from None


def _length(value: BaseModel) -> int | None:
    """Return the number of characters as JSON, or None if the team's serializer fails, which is no reason to fail."""
    with suppress(Exception):
        return len(value.model_dump_json())
    return None


def _reason_for(error: BudgetExhausted | DatabaseUnavailable | ModelsFailed) -> FallbackReason:
    match error:
        case BudgetExhausted():
            return FallbackReason.BUDGET_EXHAUSTED
        case DatabaseUnavailable():
            return FallbackReason.DATABASE_DOWN
        case ModelsOff():
            return FallbackReason.MODELS_OFF
        case _:
            return FallbackReason.MODELS_FAILED
