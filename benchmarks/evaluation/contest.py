"""The contest: a thousand cases, fifty at once, three evaluators, and a task that sleeps 50 ms.

Nothing here but the standard library, because one contestant runs in an environment of its own.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

CASES, AT_ONCE, ASLEEP = 1000, 50, 0.050

slept: list[float] = []
"""How long each task really took: a busy machine wakes it up late."""


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
    """Let one contestant evaluate, and print what it took as JSON; `evaluate` returns the seconds that it recorded."""
    slept.clear()
    wall, cpu = time.perf_counter(), time.process_time()
    recorded = asyncio.run(_awaited(evaluate))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert len(slept) == len(recorded) == CASES
    figures = {
        "CPU ms a case": cpu * 1000 / CASES,
        "wall s": wall,
        "peak MB": _peak_megabytes(),
        "stub's p50 ms": median(slept) * 1000,
        "recorded p50 ms": median(recorded) * 1000,
    }
    print(json.dumps(figures))


async def _awaited(evaluate: Callable[[], Awaitable[list[float]]]) -> list[float]:
    return await evaluate()


def _peak_megabytes() -> float:
    """Return the most memory that this process has had; `getrusage` would count the parent that it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
