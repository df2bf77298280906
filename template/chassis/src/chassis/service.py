"""One question from a caller to an outcome: the model, else the baseline, else a person."""

import asyncio
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from chassis.call import Call, Deadline, new_call_id
from chassis.call_log import CallLog
from chassis.config.constraints import Constraints
from chassis.contract import Answered, Draft, FallbackReason, Outcome, Task
from chassis.draft import check_type, draft_by_model, run_in_thread
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
    """The model's part is over without an answer for the caller.

    Args:
        fallback_reason: Why.
        draft: What the model proposed, if anything; a person will want to see it.
        error: What a caller is told if `fallback` says to refuse.
    """

    fallback_reason: FallbackReason
    draft: Draft[A] | None
    error: CallError


@dataclass(frozen=True, slots=True)
class Service[Q: BaseModel, A: BaseModel]:
    """The team's task with everything that carries it.

    Args:
        task: The contract with the team.
        constraints: What must hold.
        guard: The walk to the models, or None if no model of the constraints can be asked.
        desk: Where a person answers.
        journal: Writes down how each call ended.
    """

    task: Task[Q, A]
    constraints: Constraints
    guard: Guard | None
    review_queue: ReviewQueue
    call_log: CallLog

    def new_call(self, caller: str, call_id: str | None = None, since: float | None = None) -> Call:
        """Begin a call: its clock starts now, or `since` a moment on the monotonic clock."""
        return Call(
            id=call_id or new_call_id(),
            caller=caller,
            deadline=Deadline.after(self.constraints.latency.deadline_seconds, since),
            max_model_requests=self.constraints.limits.model_requests_per_call,
        )

    async def answer(self, question: Q, call: Call) -> Outcome[A]:
        """Take the walk.

        Raises:
            CallError: The policy, a limit or a rule of `fallback` refuses the call.
            Exception: Whatever the team's own code raised; it is never retried and never hidden.
        """
        with self.call_log.scope(self.task.name, call) as entry:
            check_question(question, self.constraints.data, self.task.recognizers)
            entry.outcome = outcome = await self._outcome(question, call)
            return outcome

    async def _outcome(self, question: Q, call: Call) -> Outcome[A]:
        match await self._ask_model(question, call):
            case Answered() as answered:
                return answered
            case NoAnswer() as miss:
                match self._rule(miss.fallback_reason):
                    case "error":
                        raise miss.error
                    case "baseline" | "cheaper":  # the walk has tried all that is cheaper
                        return await self._ask_baseline(question, call, miss)
                    case _:
                        return await self._refer(question, call, miss.fallback_reason, miss.draft)

    async def _ask_model(self, question: Q, call: Call) -> Answered[A] | NoAnswer[A]:
        if self.guard is None:
            return NoAnswer(FallbackReason.NO_MODEL, None, ModelsFailed("No model is configured"))
        try:
            draft = await draft_by_model(self.task, self.guard, question, call)
        except (BudgetExhausted, DatabaseUnavailable, ModelsFailed) as error:
            return NoAnswer(_fallback_reason_for(error), None, error)
        if draft.confidence < self.constraints.quality.confidence_floor:
            return NoAnswer(FallbackReason.LOW_CONFIDENCE, draft, ModelsFailed("No model was sure enough"))
        return self._answered_by_model(draft, call, self.guard)

    def _answered_by_model(self, draft: Draft[A], call: Call, guard: Guard) -> Answered[A]:
        model = call.answerer
        degraded = model is not None and model != self.constraints.models[0].name
        # A model that rests was passed over too; one without a key was never in the chain, and has not failed.
        passed_over = model is not None and model != guard.candidates[0].config.name
        failed = passed_over or any(attempt.error for attempt in call.attempts)
        shortened = any(turn.budget_limited for turn in call.turns)
        fallback_reason = (
            FallbackReason.BUDGET_EXHAUSTED if shortened else FallbackReason.MODELS_FAILED if failed else None
        )
        return Answered(draft.value, model or "task", draft.confidence, degraded, fallback_reason)

    async def _ask_baseline(self, question: Q, call: Call, miss: NoAnswer[A]) -> Outcome[A]:
        limit = asyncio.timeout(call.deadline.remaining())
        try:
            async with limit:
                draft = check_type(self.task, await run_in_thread(partial(self.task.baseline, question), "baseline"))
        except TimeoutError:
            if not limit.expired():
                raise  # the team's own
            return await self._refer(question, call, miss.fallback_reason, miss.draft)
        if draft.confidence < self.constraints.quality.confidence_floor:
            return await self._refer(question, call, miss.fallback_reason, miss.draft or draft)
        return Answered(draft.value, "baseline", draft.confidence, bool(self.constraints.models), miss.fallback_reason)

    async def _refer(
        self, question: Q, call: Call, fallback_reason: FallbackReason, draft: Draft[A] | None
    ) -> Outcome[A]:
        try:
            async with asyncio.timeout(call.deadline.for_review()):
                return await self.review_queue.refer(
                    self.task.name, call.caller, call.id, fallback_reason, question.model_dump_json(), draft
                )
        except TimeoutError:  # the driver's own are raised by another name
            raise DatabaseUnavailable("too slow") from None

    def _rule(self, fallback_reason: FallbackReason) -> str:
        """Return what `fallback` says; where no model is meant to be asked the baseline is the service."""
        rules = self.constraints.fallback
        match fallback_reason:
            case FallbackReason.NO_MODEL | FallbackReason.MODELS_OFF:
                return "baseline"
            case FallbackReason.LOW_CONFIDENCE:
                return rules.low_confidence
            case FallbackReason.MODELS_FAILED:
                return rules.models_failed
            case FallbackReason.BUDGET_EXHAUSTED:
                return rules.budget_exhausted
            case FallbackReason.DATABASE_DOWN:
                return rules.database_down


def _fallback_reason_for(error: BudgetExhausted | DatabaseUnavailable | ModelsFailed) -> FallbackReason:
    match error:
        case BudgetExhausted():
            return FallbackReason.BUDGET_EXHAUSTED
        case DatabaseUnavailable():
            return FallbackReason.DATABASE_DOWN
        case ModelsOff():
            return FallbackReason.MODELS_OFF
        case _:
            return FallbackReason.MODELS_FAILED
