"""Plain asyncio as a contestant: the hardest to beat, because it records nothing but the time."""

import asyncio
import time

from benchmarks.evaluation.contest import AT_ONCE, answer, compete, loud, questions, same, short


async def evaluate() -> list[float]:
    """Ask and score every case."""
    free = asyncio.Semaphore(AT_ONCE)

    async def ask(text: str) -> float:
        async with free:
            started = time.perf_counter()
            answered = await answer(text)
            seconds = time.perf_counter() - started
        assert all((same(answered, text.upper()), short(answered), loud(answered)))
        return seconds

    return await asyncio.gather(*map(ask, questions()))


if __name__ == "__main__":
    compete(evaluate)
