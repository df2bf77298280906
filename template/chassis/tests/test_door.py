"""What the door does when more comes than it can take, and what it shows of the models behind it."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from cli_runner import run
from live_server import Door, open_door
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from sample_repository import CONSTRAINTS

from chassis.store.kill_switch import REFRESH_SECONDS
from chassis.testing import ScriptedModel

SLOWNESS = 0.4


async def slowly(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
    """Answer after a while."""
    await asyncio.sleep(SLOWNESS)
    return ModelResponse([TextPart("Four.")], finish_reason="stop")


def all_at_once(door: Door, calls: int) -> list[httpx2.Response]:
    """Ask the same many times at once, and return the answers in the order in which they came."""
    with ThreadPoolExecutor(calls) as pool:
        asked = [pool.submit(door.ask, f"question {number}") for number in range(calls)]
        return [call.result() for call in asked]


def test_a_short_rush_waits_and_a_long_one_is_shed(tmp_path: Path) -> None:
    """One at a time, two wait, and the rest are told at once when to come again; whoever was let in is answered."""
    limits = {"concurrent_calls": 1, "queued_calls": 2}
    with open_door(tmp_path, ScriptedModel(slowly), limits=limits) as door:
        answers = all_at_once(door, 6)

    shed = [answer for answer in answers if answer.status_code == 503]
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 3
    assert {(answer.json()["type"], answer.headers["Retry-After"]) for answer in shed} == {
        ("/problems/overloaded", "1")
    }
    assert max(answer.elapsed.total_seconds() for answer in shed) < SLOWNESS


def test_time_spent_waiting_counts(tmp_path: Path) -> None:
    """Nobody is answered after the deadline because they had to wait at the door first."""
    deadline = 3.0
    limits = {"concurrent_calls": 1, "queued_calls": 9}
    with open_door(tmp_path, ScriptedModel(slowly), limits=limits, latency={"deadline_seconds": deadline}) as door:
        door.ask("warm up")
        began = time.monotonic()
        answers = all_at_once(door, 10)
        seconds = time.monotonic() - began

    assert {answer.status_code for answer in answers} == {200, 503}
    assert max(answer.elapsed.total_seconds() for answer in answers) < deadline * 1.05
    assert seconds < 2 * deadline


def test_the_switch_shows_where_people_look(tmp_path: Path) -> None:
    """`/readyz` and `/metrics` say that the models are off; the service stays ready, and its answers say why."""
    with open_door(tmp_path, ScriptedModel("Four.")) as door:
        before = door.client.get("/readyz").json()
        door.run(door.wiring.kill_switch.turn_off("alice"))
        time.sleep(REFRESH_SECONDS)
        after, answer = door.client.get("/readyz").json(), door.ask("hello").json()
        page = door.client.get("/metrics").text

    assert (before, after) == ({"status": "ready", "models": "on"}, {"status": "ready", "models": "off"})
    assert (answer["answered_by"], answer["degraded"], answer["fallback_reason"]) == ("baseline", True, "models_off")
    assert [line.split()[-1] for line in page.splitlines() if line.startswith("chassis_kill_switch_on")] == ["1.0"]
    assert 'chassis_calls_degraded_total{chassis_answered_by="baseline",chassis_fallback_reason="models_off"' in page


def test_models_off_on_status(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says what it did, and who did it when and why; the environment has the last word."""
    (project / "constraints.toml").write_text(CONSTRAINTS)
    said: list[str] = []
    for words in (("status",), ("off", "--by", "ann", "--reason", "bad words"), ("status",), ("on",), ("status",)):
        assert run("models", *words) == 0
        said.append(capsys.readouterr().out.strip())
    monkeypatch.setenv("MODELS_OFF", "1")
    run("models", "status")

    assert said[0] == said[3] == said[4] == "The models are on."
    assert said[1].startswith("The models are off. The baseline and people answer")
    assert said[2].startswith("The models have been off since 20")
    assert said[2].endswith("UTC, by ann: bad words")
    assert capsys.readouterr().out.strip() == "The models are off: MODELS_OFF is set in this environment."
