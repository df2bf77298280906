"""One question from a caller to an outcome: the model, else the baseline, else a person."""

import asyncio
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from chassis.call import Call, Deadline, new_call_id
from chassis.call_log import Journal
from chassis.config.constraints import Constraints
from chassis.contract import Answered, Draft, Outcome, Setback, Task
from chassis.draft import draft_by_model, in_a_thread, typed
from chassis.errors import (
    BudgetExhausted,
    CallError,
    ModelsFailed,
    ModelsOff,
    StoreUnavailable,
)
from chassis.guard.pipeline import Guard
from chassis.privacy.policy import admit
from chassis.store.review_queue import Desk


@dataclass(frozen=True, slots=True)
class Miss[A]:
    """The model's part is over without an answer for the caller.

    Args:
        setback: Why.
        draft: What the model proposed, if anything; a person will want to see it.
        error: What a caller is told if `when_wrong` says to refuse.
    """

    setback: Setback
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
    desk: Desk
    journal: Journal

    def new_call(self, caller: str, call_id: str | None = None, since: float | None = None) -> Call:
        """Begin a call: its clock starts now, or `since` a moment on the monotonic clock."""
        return Call(
            id=call_id or new_call_id(),
            caller=caller,
            deadline=Deadline.after(self.constraints.latency.deadline_seconds, since),
            max_turns=self.constraints.limits.model_requests_per_call,
        )

    async def answer(self, question: Q, call: Call) -> Outcome[A]:
        """Take the walk.

        Raises:
            CallError: The policy, a limit or a rule of `when_wrong` refuses the call.
            Exception: Whatever the team's own code raised; it is never retried and never hidden.
        """
        with self.journal.entry(self.task.name, call) as entry:
            admit(question, self.constraints.data, self.task.recognisers)
            entry.outcome = outcome = await self._outcome(question, call)
            return outcome

    async def _outcome(self, question: Q, call: Call) -> Outcome[A]:
        match await self._ask_model(question, call):
            case Answered() as answered:
                return answered
            case Miss() as miss:
                match self._rule(miss.setback):
                    case "refuse":
                        raise miss.error
                    case "baseline" | "cheaper":  # the walk has tried all that is cheaper
                        return await self._ask_baseline(question, call, miss)
                    case _:
                        return await self._refer(question, call, miss.setback, miss.draft)

    async def _ask_model(self, question: Q, call: Call) -> Answered[A] | Miss[A]:
        if self.guard is None:
            return Miss(Setback.NO_MODEL, None, ModelsFailed("No model is configured"))
        try:
            draft = await draft_by_model(self.task, self.guard, question, call)
        except (BudgetExhausted, StoreUnavailable, ModelsFailed) as error:
            return Miss(_setback_of(error), None, error)
        if draft.confidence < self.constraints.quality.confidence_floor:
            return Miss(Setback.LOW_CONFIDENCE, draft, ModelsFailed("No model was sure enough"))
        return self._answered_by_model(draft, call, self.guard)

    def _answered_by_model(self, draft: Draft[A], call: Call, guard: Guard) -> Answered[A]:
        model = call.answerer
        degraded = model is not None and model != self.constraints.models[0].name
        # A model that rests was passed over too; one without a key was never in the chain, and has not failed.
        passed_over = model is not None and model != guard.links[0].rules.name
        failed = passed_over or any(attempt.error for attempt in call.attempts)
        shortened = any(turn.shortened for turn in call.turns)
        setback = Setback.BUDGET_EXHAUSTED if shortened else Setback.MODELS_FAILED if failed else None
        return Answered(draft.value, model or "task", draft.confidence, degraded, setback)

    async def _ask_baseline(self, question: Q, call: Call, miss: Miss[A]) -> Outcome[A]:
        limit = asyncio.timeout(call.deadline.remaining())
        try:
            async with limit:
                draft = typed(self.task, await in_a_thread(partial(self.task.baseline, question), "baseline"))
        except TimeoutError:
            if not limit.expired():
                raise  # the team's own
            return await self._refer(question, call, miss.setback, miss.draft)
        if draft.confidence < self.constraints.quality.confidence_floor:
            return await self._refer(question, call, miss.setback, miss.draft or draft)
        return Answered(draft.value, "baseline", draft.confidence, bool(self.constraints.models), miss.setback)

    async def _refer(self, question: Q, call: Call, setback: Setback, draft: Draft[A] | None) -> Outcome[A]:
        try:
            async with asyncio.timeout(call.deadline.for_desk()):
                return await self.desk.refer(
                    self.task.name, call.caller, call.id, setback, question.model_dump_json(), draft
                )
        except TimeoutError:  # the driver's own are raised by another name
            raise StoreUnavailable("too slow") from None

    def _rule(self, setback: Setback) -> str:
        """Return what `when_wrong` says; where no model is meant to be asked the baseline is the service."""
        rules = self.constraints.when_wrong
        match setback:
            case Setback.NO_MODEL | Setback.MODELS_OFF:
                return "baseline"
            case Setback.LOW_CONFIDENCE:
                return rules.low_confidence
            case Setback.MODELS_FAILED:
                return rules.models_failed
            case Setback.BUDGET_EXHAUSTED:
                return rules.budget_exhausted
            case Setback.STORE_DOWN:
                return rules.store_down


def _setback_of(error: BudgetExhausted | StoreUnavailable | ModelsFailed) -> Setback:
    match error:
        case BudgetExhausted():
            return Setback.BUDGET_EXHAUSTED
        case StoreUnavailable():
            return Setback.STORE_DOWN
        case ModelsOff():
            return Setback.MODELS_OFF
        case _:
            return Setback.MODELS_FAILED
