"""Runs the team's functions: in time, with the right type of result, and with the next model if one is of no use."""

import asyncio
import contextvars
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from typing import cast

import structlog
from pydantic import BaseModel, ValidationError
from pydantic_ai.exceptions import AgentRunError, RunTimedOut, UnexpectedModelBehavior, UsageLimitExceeded
from pydantic_ai.models import Model
from pydantic_ai.models.instrumented import InstrumentedModel

from chassis.call import Call, Turn
from chassis.contract import Draft, Task
from chassis.errors import CallError, DeadlineExceeded, ModelsFailed
from chassis.guard.model import GuardedModel
from chassis.guard.pipeline import Guard
from chassis.telemetry.genai_spans import tool_instrumentation

log = structlog.get_logger()

type _UselessReplies = UnexpectedModelBehavior | UsageLimitExceeded
"""What an agent raises when a model kept replying, but in a form that the agent cannot use."""


async def draft_by_model[Q: BaseModel, A: BaseModel](
    task: Task[Q, A], guard: Guard, question: Q, call: Call
) -> Draft[A]:
    """Return what the task drafts with a guarded model.

    A task that a model gave only useless replies is run once more, from the start, with the models after that one.

    Raises:
        ModelsFailed: No model gave a usable reply, or not in time.
        BudgetExhausted: The budgets do not cover a model request.
        DatabaseUnavailable: No money can be reserved for a model request.
        Exception: Whatever the team's own code raised.
    """
    # Around all runs of the task: a second run with the other models gets the time that is left, not the time anew.
    timeout = asyncio.timeout(call.deadline.for_models())
    try:
        async with timeout:
            while True:
                # Only the turns of this run are judged; those of an earlier one were judged when it ended.
                turns_before = len(call.turns)
                try:
                    with _unwrapped_exception_groups():
                        return check_type(task, await task.run(question, _model_for(guard, call)))
                except (UnexpectedModelBehavior, UsageLimitExceeded) as error:
                    guard = await _models_after_useless(guard, call, call.turns[turns_before:], error)
    except RunTimedOut as error:  # a time limit that the team gave its agent
        raise ModelsFailed("No model gave a usable reply within the time limit of the agent") from error
    except TimeoutError as error:
        if not timeout.expired():
            raise  # raised by the team's own code
        raise DeadlineExceeded("No model gave a usable reply in time") from error


def _model_for(guard: Guard, call: Call) -> Model:
    """Return the guarded model. If the task may use tools, pydantic-ai also records a span for each call of one."""
    model = GuardedModel(guard, call)
    if not guard.constraints.tools:
        return model
    return InstrumentedModel(model, tool_instrumentation(guard.instruments))


def check_type[Q: BaseModel, A: BaseModel](task: Task[Q, A], draft: Draft[A]) -> Draft[A]:
    """Return the draft if its value has the task's type of answer; a team need not use a type checker.

    Raises:
        TypeError: It has another type, or the function returned something else than a draft.
    """
    if not isinstance(cast("object", draft), Draft):
        raise TypeError(f"the task returned a {type(draft).__name__}, not a Draft")
    if not isinstance(draft.value, task.gives):
        raise TypeError(f"the task drafted a {type(draft.value).__name__}, not a {task.gives.__name__}")
    return draft


@contextmanager
def only_exceptions() -> Generator[None]:
    """Raise a `RuntimeError` where the team's code raised what would end more than its call, such as `SystemExit`."""
    task = asyncio.current_task()
    try:
        yield
    except Exception:
        raise
    except asyncio.CancelledError as error:
        if task is None or task.cancelling():
            raise  # by the caller who disconnected, or by a deadline
        raise _as_exception(error) from error
    except BaseException as error:
        if isinstance(error, GeneratorExit) and _current_task() is not task:
            raise  # the event loop ends, and closes what still runs
        raise _as_exception(error) from error


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop is running any more
        return None


def _as_exception(error: BaseException) -> RuntimeError:
    replacement = RuntimeError(f"the team's code raised {type(error).__name__}")
    replacement.__cause__ = error
    return replacement


async def run_in_thread[T](function: Callable[[], T], name: str) -> T:
    """Run a function in a thread of its own and return its result; if the caller is cancelled, leave it running.

    `asyncio.to_thread` is no alternative: functions that never return would fill its pool, and keep the process from
    exiting.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def resolve(set_result: Callable[[], None]) -> None:
        if not result.done():  # the caller may have been cancelled
            set_result()

    def run() -> None:
        try:
            set_result = partial(result.set_result, function())
        except StopIteration as error:  # a future cannot hold it
            set_result = partial(result.set_exception, _as_exception(error))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            set_result = partial(result.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(resolve, set_result)

    # The context goes along, so that the function's log lines and spans belong to the call.
    Thread(target=contextvars.copy_context().run, args=(run,), name=name, daemon=True).start()
    return await result


async def _models_after_useless(guard: Guard, call: Call, turns: Sequence[Turn], error: _UselessReplies) -> Guard:
    """Return a guard with the models after the one whose replies, although they passed all checks, were useless.

    Raises:
        ModelsFailed: It was the last model.
    """
    model = call.answerer
    if model is None or not turns:
        raise error  # no model has replied, so this is a mistake in the team's code
    shown = {"reply": turns[-1].reply} if turns[-1].reply else {}  # in development
    log.warning("model.failed", model=model, error=type(error).__name__, problems=_schema_problems(error), **shown)
    # Neither the call's answerer nor the cache may count these replies as good ones.
    for turn in turns:
        turn.mark_unusable(type(error).__name__)
    await guard.reply_cache.delete(turn.reply_key for turn in turns if turn.reply_key)
    rest = guard.after(model)
    if rest is None:
        raise ModelsFailed("No model gave a reply of the right form") from error
    return rest


def _schema_problems(error: BaseException | None) -> list[str]:
    """Return what a reply violated, as `field: kind of problem`, without any of its values."""
    while error is not None and not isinstance(error, ValidationError):
        error = error.__cause__ or error.__context__
    details = error.errors(include_input=False, include_url=False) if error else []
    return [f"{'.'.join(map(str, detail['loc'])) or 'reply'}: {detail['type']}" for detail in details]


@contextmanager
def _unwrapped_exception_groups() -> Generator[None]:
    """Raise an error of a model by itself if it comes in a group, as it does from a `TaskGroup` in the team's code.

    A group that contains an error of the team's own passes unchanged.
    """
    try:
        yield
    except ExceptionGroup as group:
        model_errors, other_errors = group.split((CallError, AgentRunError))
        if model_errors is None or other_errors is not None:
            raise
        # `TaskGroup` nests a group in a group. The first error decides: the others are mostly its consequences.
        error: Exception = model_errors
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from group
