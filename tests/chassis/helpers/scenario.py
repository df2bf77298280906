"""Runs a scenario with the sample service, whose models are doubles and whose every other part is real."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from chassis import Task
from chassis.testing import wire_for_tests
from chassis.wiring import Wiring
from pydantic_ai.models import Model
from sample_task import TASK


def run_scenario[T](
    root: Path,
    doubles: list[Model],
    scenario: Callable[[Wiring], Awaitable[T]],
    task: Task[Any, Any] = TASK,
    **changes: Any,
) -> T:
    """Wire a service with these models and constraints, and return what the scenario returns."""

    async def run() -> T:
        async with wire_for_tests(task, root, *doubles, **changes) as wiring:
            return await scenario(wiring)

    return asyncio.run(run())
