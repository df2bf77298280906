"""LiteLLM's Router, asked in an environment of its own: it pins an older openai, and is no dependency of anything here.

Run as a program it reads a number of calls from each line of standard input, makes them, and answers with a line:
their CPU seconds and their wall seconds, at the concurrency that the line also names.
"""

import asyncio
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UV = Path(__file__).parents[1] / "template/chassis/uv"
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
"""It would fetch its prices when it is imported."""
LEFT_OUT = "LiteLLM cannot be installed here; it is left out"


class NotInstallable(Exception):
    """There is no LiteLLM to compare with."""


class Router:
    """The process that asks."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def seconds(self, calls: int, at_once: int = 1) -> tuple[float, float]:
        """Return the CPU and the wall seconds of so many calls.

        Raises:
            NotInstallable: The process is gone.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{calls} {at_once}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise NotInstallable("LiteLLM's process ended")
        cpu, wall = map(float, line.split())
        return cpu, wall


def alone(requirement: str, *command: str) -> tuple[str, ...]:
    """Return a command that runs with nothing but what it requires installed."""
    return ("sh", str(UV), "run", "--quiet", "--isolated", "--no-project", "--with", requirement, *command)


@contextmanager
def running(url: str, model: str) -> Generator[Router | None]:
    """Run it, or give None and say why if it cannot be installed."""
    with subprocess.Popen(
        alone("litellm>=1.100", "python", __file__, url, model),
        env=os.environ | OFFLINE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        router = Router(process)
        try:
            router.seconds(2)
        except (NotInstallable, BrokenPipeError):
            print(LEFT_OUT, file=sys.stderr)
            yield None
        else:
            yield router  # and when its input is closed, it ends


async def ask(url: str, model: str) -> None:
    """Make the calls that standard input asks for."""
    parameters = {"model": f"openai/{model}", "api_base": url, "api_key": "none", "timeout": 10, "max_retries": 0}
    models = [{"model_name": name, "litellm_params": parameters} for name in ("first", "second")]
    router: Any = importlib.import_module("litellm").Router(
        model_list=models, fallbacks=[{"first": ["second"]}], num_retries=0
    )

    async def worker(calls: int) -> None:
        for _ in range(calls):
            messages = [{"role": "user", "content": "What happens when the budget is used up?"}]
            await router.acompletion(model="first", messages=messages, max_tokens=800)

    for line in sys.stdin:
        calls, at_once = map(int, line.split())
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(worker(calls // at_once) for _ in range(at_once)))
        print(time.process_time() - cpu, time.perf_counter() - wall, flush=True)


if __name__ == "__main__":
    asyncio.run(ask(*sys.argv[1:3]))
