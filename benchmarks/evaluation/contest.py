"""What every contestant does: a thousand cases, fifty at once, three evaluators, and a task that sleeps 50 ms.

It uses the standard library alone, because one contestant runs in an environment of its own.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

CASES, AT_ONCE, ASLEEP = 1000, 50, 0.050

slept: list[float] = []
"""How long each task really took: on a busy machine, `sleep` returns late."""


async def answer(text: str) -> str:
    """Return an answer after 50 ms."""
    started = time.perf_counter()
    await asyncio.sleep(ASLEEP)
    slept.append(time.perf_counter() - started)
    return text.upper()


def same(answered: str, expected: str) -> bool:
    """Return whether it is the expected answer."""
    return answered == expected


def short(answered: str) -> bool:
    """Return whether it is not too long."""
    return len(answered) < 100


def loud(answered: str) -> bool:
    """Return whether it is in capitals."""
    return answered.isupper()


def questions() -> list[str]:
    """Return what is asked."""
    return [f"case {number}" for number in range(CASES)]


def compete(evaluate: Callable[[], Awaitable[list[float]]]) -> None:
    """Measure one contestant and print the figures as JSON; `evaluate` returns the seconds that it recorded."""
    slept.clear()
    wall, cpu = time.perf_counter(), time.process_time()
    recorded = asyncio.run(_awaited(evaluate))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert len(slept) == len(recorded) == CASES
    figures = {
        "CPU ms per case": cpu * 1000 / CASES,
        "wall s": wall,
        "peak MB": _peak_megabytes(),
        "stub's p50 ms": median(slept) * 1000,
        "recorded p50 ms": median(recorded) * 1000,
    }
    print(json.dumps(figures))


async def _awaited(evaluate: Callable[[], Awaitable[list[float]]]) -> list[float]:
    return await evaluate()


def _peak_megabytes() -> float:
    """Return the peak memory of this process; `getrusage` would include the process that it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
