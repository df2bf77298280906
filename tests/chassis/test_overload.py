"""More calls than the service can take at once."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
from chassis.testing import ScriptedModel
from live_server import LiveService, serve_sample
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo

SLOWNESS = 0.4


async def slowly(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
    """Answer after a while."""
    await asyncio.sleep(SLOWNESS)
    return ModelResponse([TextPart("Four.")], finish_reason="stop")


def ask_at_once(service: LiveService, calls: int) -> list[httpx2.Response]:
    """Ask several questions at once, and return the responses in the same order."""
    with ThreadPoolExecutor(calls) as pool:
        asked = [pool.submit(service.ask, f"question {number}") for number in range(calls)]
        return [call.result() for call in asked]


def test_some_calls_wait_and_the_rest_is_refused(tmp_path: Path) -> None:
    """One call runs and two wait until they are answered. The others are refused at once with `Retry-After`."""
    limits = {"concurrent_calls": 1, "queued_calls": 2}
    with serve_sample(tmp_path, ScriptedModel(slowly), limits=limits) as service:
        answers = ask_at_once(service, 6)

    shed = [answer for answer in answers if answer.status_code == 503]
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 3
    assert {(answer.json()["type"], answer.headers["Retry-After"]) for answer in shed} == {
        ("/problems/overloaded", "1")
    }
    assert max(answer.elapsed.total_seconds() for answer in shed) < SLOWNESS


def test_waiting_counts_against_the_deadline(tmp_path: Path) -> None:
    """No call is answered after its deadline because it had to wait first."""
    deadline = 3.0
    limits = {"concurrent_calls": 1, "queued_calls": 9}
    with serve_sample(
        tmp_path, ScriptedModel(slowly), limits=limits, latency={"deadline_seconds": deadline}
    ) as service:
        service.ask("warm up")
        began = time.monotonic()
        answers = ask_at_once(service, 10)
        seconds = time.monotonic() - began

    assert {answer.status_code for answer in answers} == {200, 503}
    assert max(answer.elapsed.total_seconds() for answer in answers) < deadline * 1.05
    assert seconds < 2 * deadline
