"""Work in a thread of its own: what it returns, what it raises, and that nothing waits for it when it hangs."""

import asyncio
import subprocess
import sys
import time
from threading import Event

import pytest

from chassis.draft import run_in_thread


def test_results_and_errors_come_back() -> None:
    """Whoever waits gets what the work returned, or what it raised."""
    assert asyncio.run(run_in_thread(lambda: 4, "sum")) == 4
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_in_thread(lambda: 1 // 0, "bug"))


def test_threads_that_hang_take_no_place_from_others() -> None:
    """Forty of them hang, more than a pool has threads, and the next one is done at once."""
    told = Event()

    async def story() -> int:
        hanging = [asyncio.create_task(run_in_thread(told.wait, "hang")) for _ in range(40)]
        await asyncio.sleep(0)
        result = await asyncio.wait_for(run_in_thread(lambda: 4, "sum"), 10)
        told.set()
        await asyncio.gather(*hanging)
        return result

    assert asyncio.run(story()) == 4


def test_a_process_ends_although_a_thread_hangs() -> None:
    """A baseline that never returns must not keep a replica from being replaced."""
    code = """
import asyncio, time
from chassis.draft import run_in_thread

async def main():
    try:
        await asyncio.wait_for(run_in_thread(lambda: time.sleep(600), "hang"), 0.1)
    except TimeoutError:
        print("left behind")

asyncio.run(main())
"""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "left behind\n"
    assert time.monotonic() - begun < 60
