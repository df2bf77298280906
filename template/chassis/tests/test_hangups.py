"""Callers who hang up while their call runs: a real server, socket and SDK, and a vendor that says nothing."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

from fault_table import WORST, Fault, Result
from faulty_service import open_faulty
from faulty_vendor import faulty_vendor, hang
from live_server import Door, open_door
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from telemetry_sinks import Lines

from chassis.testing import ScriptedModel

HUNG_UP = Fault("the caller hangs up", Result(status=0, answered_by="none", charged=WORST), first=hang)
PATIENCE_SECONDS = 10.0
SOON_SECONDS = 1.0


def begin(door: Door, text: str = "2 + 2?") -> socket.socket:
    """Send a question and do not read the answer."""
    body = json.dumps({"text": text}).encode()
    head = f"POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.key}\r\n"
    line = socket.create_connection((door.client.base_url.host, door.client.base_url.port or 80))
    line.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return line


def seconds_until(seen: Callable[[], object]) -> float:
    """Wait until something is so, and return how long that took."""
    begun = time.monotonic()
    while not seen():
        assert time.monotonic() - begun < PATIENCE_SECONDS
        time.sleep(0.005)
    return time.monotonic() - begun


def test_a_call_ends_when_its_caller_hangs_up(tmp_path: Path, lines: Lines) -> None:
    """Within a second the model is left, its worst case is charged, nothing stays held, and one line says so."""
    with faulty_vendor() as vendor, open_faulty(HUNG_UP, vendor, tmp_path) as door:
        line = begin(door)
        seconds_until(lambda: vendor.requests["first"])
        line.close()
        until_finished = seconds_until(lambda: lines.named("call.finished"))
        until_settled = seconds_until(
            lambda: not any(item.reserved for item in door.run(door.wiring.ledger.balances()))
        )
        spent = {item.spent for item in door.run(door.wiring.ledger.balances())}

    [finished] = lines.named("call.finished")
    [cost] = spent  # the same on each account
    assert (finished["outcome"], finished["level"], finished["attempts"]) == ("abandoned", "info", 1)
    assert 100 * 100_000 < cost == round(finished["cost_usd"] * 10**9)  # all the output there could be, and the input
    assert vendor.requests["second"] == 0
    assert until_finished + until_settled < SOON_SECONDS


def test_whoever_hangs_up_leaves_the_line(tmp_path: Path) -> None:
    """A caller who is gone keeps no place where calls wait, and what they asked is never begun."""
    told = Event()

    async def answer_late(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await asyncio.to_thread(told.wait, PATIENCE_SECONDS)
        return ModelResponse([TextPart("Done.")])

    model = ScriptedModel(answer_late)
    limits = {"concurrent_calls": 1, "queued_calls": 1}
    with (
        open_door(tmp_path, model, limits=limits, latency={"deadline_seconds": 20}) as door,
        ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(door.ask, "first")
        seconds_until(lambda: model.requests)
        gone = begin(door, "gone")
        seconds_until(lambda: door.ask("is there room?").status_code == 503)
        gone.close()
        last = pool.submit(door.ask, "last")
        while wait([last], timeout=0.2).done:  # refused at once, or it stands in line
            last = pool.submit(door.ask, "last")
        told.set()
        statuses = first.result().status_code, last.result().status_code

    assert statuses == (200, 200)
    assert ["gone" in str(asked) for asked in model.requests] == [False, False]
