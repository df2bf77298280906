"""An outside judge: llmock plays each vendor, breaks on request, and says what a client did wrong.

It is nobody's of ours and runs in an environment of its own. `strict` is its own word for: warnings count too.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chassis import Draft, Task
from chassis.config.constraints import VENDOR_URLS
from chassis.config.project import Project, Settings
from chassis.testing import OWNER, constraints_for_tests
from chassis.wiring import wire
from pydantic import SecretStr
from pydantic_ai import Agent
from pydantic_ai.models import Model, override_allow_model_requests
from sample_task import Answer, Question, shout

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("lines")]
LLMOCK = "llmock==0.2.2"
DEADLINE_SECONDS = 4.0
HANGING_SECONDS = 30
VENDORS = {
    "openai": ("/v1", "gpt-4o-mini"),
    "openai-compatible": ("/v1", "gpt-4o-mini"),
    "anthropic": ("/anthropic", "claude-haiku-4-5"),
    "google": ("/gemini", "gemini-2.5-flash"),
}
"""Where llmock plays each vendor, and a model to ask for."""
FAULTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "nothing": ([], "first"),
    "a rate limit": ([{"type": "fail", "status": 429, "retry_after": 0.4}], "first"),
    "two rate limits": ([{"type": "fail", "status": 429, "retry_after": 0.3, "times": 2}], "first"),
    "an error of the server": ([{"type": "fail", "status": 500}], "first"),
    "a bad gateway": ([{"type": "fail", "status": 502}], "first"),
    "a vendor that is down for a moment": ([{"type": "fail", "status": 503}], "first"),
    "a vendor that is overloaded": ([{"type": "fail", "status": 529}], "first"),
    "a vendor that is down": ([{"type": "fail", "status": 503, "times": None}], "baseline"),
    "a request it does not take": ([{"type": "fail", "status": 400, "times": None}], "baseline"),
    "a wrong key": ([{"type": "fail", "status": 401, "times": None}], "baseline"),
    "no such model": ([{"type": "fail", "status": 404, "times": None}], "baseline"),
    "a slow answer": ([{"type": "delay", "seconds": 1}], "first"),
    "no answer in time": ([{"type": "delay", "seconds": HANGING_SECONDS}], "baseline"),
    "a tool that nobody offered": ([{"type": "tool_fault", "kind": "unknown_tool"}], "first"),
    "broken arguments": ([{"type": "tool_fault", "kind": "malformed_arguments"}], "first"),
}
"""What llmock is told to do, and who must answer then."""


async def fill_in(question: Question, model: Model) -> Draft[Answer]:
    """Have a model fill in a form, and mend it once if need be."""
    return Draft((await Agent(model, output_type=Answer, retries=1).run(question.text)).output, confidence=0.9)


TASK = Task(name="echo", takes=Question, gives=Answer, run=fill_in, baseline=shout)


@pytest.fixture(scope="module")
def llmock() -> Generator[httpx2.Client]:
    """Start llmock in an environment of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    uv = os.environ.get("UV") or shutil.which("uv")
    script = ["sh", str(Path(__file__).parents[2] / "template/chassis/uv")]
    command = [*([uv] if uv else script), "tool", "run", "--quiet", "--python", sys.executable, "--from", LLMOCK]
    with subprocess.Popen(
        [*command, "llmock", "serve", "--port", port], stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
                _wait_for(client)
                yield client
        finally:
            # SIGTERM would let it send the answers that it delays.
            os.killpg(server.pid, signal.SIGKILL)


def _wait_for(client: httpx2.Client) -> None:
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        try:
            client.get("/_llmock/requests")
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("llmock did not start")


@pytest.mark.parametrize("provider", VENDORS)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_verdict_is_clean(
    provider: str, fault: str, llmock: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one model and the baseline behind it: the right one answers, in time, and the judge finds no fault."""
    behaviours, answered_by = FAULTS[fault]
    llmock.post("/_llmock/reset").raise_for_status()
    if behaviours:
        llmock.post("/_llmock/scenario", json={"behaviors": behaviours}).raise_for_status()
    path, model = VENDORS[provider]
    address = f"http://{llmock.base_url.host}:{llmock.base_url.port}{path}"
    if provider in VENDOR_URLS:
        monkeypatch.setitem(VENDOR_URLS, provider, address)

    outcome, seconds = asyncio.run(ask(provider, model, address, tmp_path))
    verdict = llmock.get("/_llmock/verdict").json()

    assert outcome.answered_by == answered_by
    assert (verdict["findings"], verdict["passed"]) == ([], True)
    assert verdict["attempts"] > 0 or fault == "no answer in time"  # it counts what it has answered
    assert seconds < HANGING_SECONDS  # not the deadline, as a busy machine may need longer


async def ask(provider: str, model: str, address: str, root: Path) -> tuple[Any, float]:
    """Ask through one model of a provider, and return who answered and after how many seconds."""
    entry = {
        "name": "first",
        "provider": provider,
        "model": model,
        "destination": "vendor",
        "max_output_tokens": 100,
        "input_usd_per_million": 1,
        "output_usd_per_million": 1,
    } | ({"base_url": address} if provider == "openai-compatible" else {})
    key = SecretStr("key")
    settings = Settings(
        database_url="sqlite:///service.db",
        openai_api_key=key,
        openai_compatible_api_key=key,
        anthropic_api_key=key,
        gemini_api_key=key,
    )
    constraints = constraints_for_tests(
        models=[entry], latency={"deadline_seconds": DEADLINE_SECONDS}, limits={"retries_per_model": 2}
    )
    project = Project(root, "sample", "1.0.0", "sample.task:TASK")
    with override_allow_model_requests(allow_model_requests=True):
        async with wire(project, task=TASK, constraints=constraints, settings=settings, owner=OWNER) as wired:
            began = time.monotonic()
            outcome = await wired.service.answer(Question(text="2 + 2?"), wired.service.new_call("alice"))
            return outcome, time.monotonic() - began
