"""Gets a draft out of the team's function: in time, of the right type, and from another model if one is of no use."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread

import structlog
from pydantic import BaseModel
from pydantic_ai.exceptions import AgentRunError, RunTimedOut, UnexpectedModelBehavior, UsageLimitExceeded

from chassis.call import Call, Turn
from chassis.contract import Draft, Task
from chassis.errors import CallError, DeadlineExceeded, ModelsFailed
from chassis.guard.model import GuardedModel
from chassis.guard.pipeline import Guard

log = structlog.get_logger()


async def draft_by_model[Q: BaseModel, A: BaseModel](
    task: Task[Q, A], guard: Guard, question: Q, call: Call
) -> Draft[A]:
    """Return what the task drafts with a guarded model.

    Raises:
        ModelsFailed: No model gave a usable reply, or none in time.
        BudgetExhausted: There is no money left to ask one.
        Exception: Whatever the team's own code raised.
    """
    limit = asyncio.timeout(call.deadline.for_models())
    try:
        async with limit:
            return await _run(task, guard, question, call)
    except RunTimedOut as error:  # a limit that the team gave its agent
        raise ModelsFailed("No model gave a usable reply in the time of its agent") from error
    except TimeoutError as error:
        if not limit.expired():
            raise  # the team's own
        raise DeadlineExceeded("No model gave a usable reply in time") from error


def check_type[Q: BaseModel, A: BaseModel](task: Task[Q, A], draft: Draft[A]) -> Draft[A]:
    """Let a draft pass if it holds what the task promises; no type checker has looked at a team's code for us.

    Raises:
        TypeError: It holds something else.
    """
    if not isinstance(draft.value, task.gives):
        raise TypeError(f"the task drafted a {type(draft.value).__name__}, not a {task.gives.__name__}")
    return draft


async def _run[Q: BaseModel, A: BaseModel](task: Task[Q, A], guard: Guard, question: Q, call: Call) -> Draft[A]:
    """Run the task, and once more for each model that kept giving it replies of the wrong form."""
    begun = len(call.turns)
    try:
        return check_type(task, await _unwrap_exception_group(task.run(question, GuardedModel(guard, call))))
    except (UnexpectedModelBehavior, UsageLimitExceeded) as error:
        model = call.answerer
        if model is None or len(call.turns) == begun:
            raise  # no model has said anything, so this is a mistake in code
        rest = await _models_after(model, guard, call.turns[begun:], type(error).__name__)
        if rest is None:
            raise ModelsFailed("No model gave a reply of the right form") from error
    return await _run(task, rest, question, call)


async def _models_after(model: str, guard: Guard, turns: Sequence[Turn], error: str) -> Guard | None:
    """Return the models behind one whose replies, though whole, were of no use to the task."""
    log.warning("model.failed", model=model, error=error)
    for turn in turns:
        turn.mark_unusable(error)
    await guard.reply_cache.forget(turn.reply_key for turn in turns if turn.reply_key)
    return guard.after(model)


async def _unwrap_exception_group[T](work: Awaitable[T]) -> T:
    """Wait for the task; what went wrong with models inside a `TaskGroup` of the team's is raised by its own name."""
    try:
        return await work
    except ExceptionGroup as group:
        ours, theirs = group.split((CallError, AgentRunError))
        if ours is None or theirs is not None:
            raise
        error: Exception = ours
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from group


async def run_in_thread[T](work: Callable[[], T], name: str) -> T:
    """Return what the work returns, or raise what it raises. Whoever is cancelled leaves it behind.

    Threads of a pool would be waited for when the process ends, and a few that hang would fill it.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def tell(set_outcome: Callable[[], None]) -> None:
        if not ended.done():
            set_outcome()

    def run() -> None:
        try:
            set_outcome = partial(ended.set_result, work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            set_outcome = partial(ended.set_exception, error)
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            loop.call_soon_threadsafe(tell, set_outcome)

    Thread(target=contextvars.copy_context().run, args=(run,), name=name, daemon=True).start()
    return await ended
