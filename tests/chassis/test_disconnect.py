"""Callers who disconnect during their call, with a real server, a real socket, and a vendor that never answers."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

from chassis.testing import ScriptedModel
from fault import WORST, Fault, Result
from faulty_service import open_faulty
from faulty_vendor import faulty_vendor, hang
from live_server import LiveService, serve_sample
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from telemetry_sinks import Lines

DISCONNECTED = Fault("the caller hangs up", Result(status=0, answered_by="none", charged=WORST), first=hang)
TIMEOUT_SECONDS = 10.0
SOON_SECONDS = 1.0


def send_question(service: LiveService, text: str = "2 + 2?") -> socket.socket:
    """Send a question without reading the answer, and return the connection."""
    body = json.dumps({"text": text}).encode()
    head = f"POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.key}\r\n"
    connection = socket.create_connection((service.client.base_url.host, service.client.base_url.port or 80))
    connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def seconds_until(condition: Callable[[], object]) -> float:
    """Wait until a condition is true, and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < TIMEOUT_SECONDS
        time.sleep(0.005)
    return time.monotonic() - started


def test_a_call_is_cancelled_when_its_caller_disconnects(tmp_path: Path, lines: Lines) -> None:
    """Within a second the model request is cancelled, its worst case is charged, and one line is logged."""
    with faulty_vendor() as vendor, open_faulty(DISCONNECTED, vendor, tmp_path) as service:
        connection = send_question(service)
        seconds_until(lambda: vendor.requests["first"])
        connection.close()
        until_finished = seconds_until(lambda: lines.named("call.finished"))
        until_settled = seconds_until(
            lambda: not any(item.reserved for item in service.run(service.wiring.ledger.balances()))
        )
        spent = {item.spent for item in service.run(service.wiring.ledger.balances())}

    [finished] = lines.named("call.finished")
    [cost] = spent  # the same on each account
    assert (finished["outcome"], finished["level"], finished["attempts"]) == ("abandoned", "info", 1)
    assert 100 * 100_000 < cost == round(finished["cost_usd"] * 10**9)  # all the output there could be, and the input
    assert vendor.requests["second"] == 0
    assert until_finished + until_settled < SOON_SECONDS


def test_a_waiting_call_leaves_the_queue_when_its_caller_disconnects(tmp_path: Path) -> None:
    """The next caller gets the place in the queue, and the question of the first one is never asked."""
    released = Event()

    async def answer_when_released(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.to_thread(released.wait, TIMEOUT_SECONDS)
        return ModelResponse([TextPart("Done.")])

    model = ScriptedModel(answer_when_released)
    limits = {"concurrent_calls": 1, "queued_calls": 1}
    with (
        serve_sample(tmp_path, model, limits=limits, latency={"deadline_seconds": 20}) as service,
        ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(service.ask, "first")
        seconds_until(lambda: model.requests)
        gone = send_question(service, "gone")
        seconds_until(lambda: service.ask("is there room?").status_code == 503)
        gone.close()
        last = pool.submit(service.ask, "last")
        while wait([last], timeout=0.2).done:  # until it is not refused at once, but waits in the queue
            last = pool.submit(service.ask, "last")
        released.set()
        statuses = first.result().status_code, last.result().status_code

    assert statuses == (200, 200)
    assert ["gone" in str(messages) for messages in model.requests] == [False, False]
