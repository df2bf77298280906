"""`run_in_thread`: results and errors are passed on, and a function that hangs blocks nothing."""

import asyncio
import subprocess
import sys
import time
from threading import Event

import pytest
from chassis.draft import run_in_thread


def test_results_and_errors_are_passed_on() -> None:
    """The caller gets what the function returns or raises."""
    assert asyncio.run(run_in_thread(lambda: 4, "sum")) == 4
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_in_thread(lambda: 1 // 0, "bug"))


def test_hanging_threads_do_not_block_others() -> None:
    """Forty hang, more than a thread pool has threads, and the next one runs at once."""
    release = Event()

    async def story() -> int:
        hanging = [asyncio.create_task(run_in_thread(release.wait, "hang")) for _ in range(40)]
        await asyncio.sleep(0)
        result = await asyncio.wait_for(run_in_thread(lambda: 4, "sum"), 10)
        release.set()
        await asyncio.gather(*hanging)
        return result

    assert asyncio.run(story()) == 4


def test_a_hanging_thread_does_not_keep_the_process_running() -> None:
    """A baseline that never returns must not prevent a replica from exiting."""
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
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "left behind\n"
    assert time.monotonic() - start < 60
