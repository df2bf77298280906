"""Asks the service every case, a few at a time, and keeps what happened, errors included."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel

from chassis.call import Call
from chassis.evals.cases import Case
from chassis.service import Service
from chassis.store.desk import Desk
from chassis.store.opening import open_database
from chassis.types import Outcome

CALLER = "evals"
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Result[Q: BaseModel, A: BaseModel]:
    """What became of one case.

    Args:
        case: The case.
        call: The call it was asked in, with its attempts and cost.
        outcome: What a caller would have got, or None if the call ended in an error.
        error: The name of that error.
        seconds: How long the call took.
    """

    case: Case[Q]
    call: Call
    outcome: Outcome[A] | None
    error: str | None
    seconds: float


@asynccontextmanager
async def rehearsal[Q: BaseModel, A: BaseModel](service: Service[Q, A]) -> AsyncGenerator[Service[Q, A]]:
    """Yield the same service with a desk of its own, so that no person is asked a question out of a case."""
    with TemporaryDirectory() as folder:
        database = await open_database("sqlite:///desk.db", Path(folder))
        try:
            yield replace(service, desk=Desk(database, service.constraints.desk.due_hours))
        finally:
            await database.close()


async def run[Q: BaseModel, A: BaseModel](
    service: Service[Q, A], cases: Sequence[Case[Q]], *, on_result: Callable[[], None]
) -> list[Result[Q, A]]:
    """Ask every case and return the results in the order of the cases; `on_result` hears of each."""
    free = asyncio.Semaphore(AT_ONCE)

    async def ask(case: Case[Q]) -> Result[Q, A]:
        async with free:
            result = await _ask(service, case)
        on_result()
        return result

    return await asyncio.gather(*(ask(case) for case in cases))


async def _ask[Q: BaseModel, A: BaseModel](service: Service[Q, A], case: Case[Q]) -> Result[Q, A]:
    call = service.new_call(CALLER)
    started = time.perf_counter()
    try:
        outcome, error = await service.answer(case.input, call), None
    except Exception as failure:  # noqa: BLE001  whatever it is, the case stays in the count
        outcome, error = None, type(failure).__name__
    return Result(case, call, outcome, error, time.perf_counter() - started)
