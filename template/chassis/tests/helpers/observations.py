"""What is seen of a running service: who answered, with which status, at what cost, and what a model was sent."""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from socket import getaddrinfo
from unittest.mock import patch

from constraint_effects import Raw, See, first_model
from live_server import open_door
from prometheus_client.parser import text_string_to_metric_families
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, override_allow_model_requests
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage
from recording_vendor import recording, repeating
from sample_task import TASK, Answer, Question
from scenario import run_scenario
from short_timeouts import impatient

from chassis import Answered, Draft, Referred, Task
from chassis.clock import now
from chassis.errors import CallError
from chassis.testing import Reply, ScriptedModel
from chassis.usd import to_usd
from chassis.wiring import Wiring

NAME = "model.example.com"


class Crowd:
    """A model that takes its time, and counts how many requests it works on at once."""

    def __init__(self, seconds: float = 0.3) -> None:
        self._seconds, self._here = seconds, 0
        self.peak = 0

    async def reply(self, _: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        """Answer when the time is over."""
        self._here += 1
        self.peak = max(self.peak, self._here)
        await asyncio.sleep(self._seconds)
        self._here -= 1
        return ModelResponse([TextPart("Four.")], usage=RequestUsage(input_tokens=10, output_tokens=5))


async def answerer(wiring: Wiring, text: str) -> str:
    """Ask, and return who answered, why a person will, or why nobody does."""
    try:
        outcome = await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))
    except CallError as error:
        return error.slug
    return outcome.answered_by if isinstance(outcome, Answered) else f"review: {outcome.fallback_reason}"


def answered_by(*replies: Reply, text: str = "hello") -> See:
    """See who answers when the first model says this."""
    return lambda root, raw: run_scenario(root, [ScriptedModel(*replies)], lambda wiring: answerer(wiring, text), **raw)


def answered_late(root: Path, raw: Raw) -> object:
    """See who answers when the model needs a second."""
    return answered_by(Crowd(seconds=1).reply)(root, raw)


def answered_without_database(root: Path, raw: Raw) -> object:
    """See who answers while another process keeps the database locked."""

    async def story(wiring: Wiring) -> str:
        other = sqlite3.connect(root / "service.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            return await answerer(wiring, "hello")
        finally:
            other.close()

    with impatient():
        return run_scenario(root, [ScriptedModel("Four.")], story, **raw)


def answered_over_the_network(root: Path, raw: Raw) -> object:
    """See who answers when the name of the model's address leads to this machine."""
    with (
        recording(repeating) as vendor,
        override_allow_model_requests(allow_model_requests=True),
        patch("socket.getaddrinfo", partial(_lead_home, getaddrinfo)),
    ):
        raw["models"][0]["base_url"] = vendor.url.replace("127.0.0.1", NAME) + "/v1"
        return run_scenario(root, [first_model(raw)], lambda wiring: answerer(wiring, "hello"), **raw)


def _lead_home(really: Callable[..., object], host: str | bytes | None, *rest: object, **options: object) -> object:
    return really("127.0.0.1" if host in {NAME, NAME.encode()} else host, *rest, **options)


def answered_two_at_once(root: Path, raw: Raw) -> object:
    """See who answers two callers who come together."""

    async def story(wiring: Wiring) -> list[str]:
        return sorted(await asyncio.gather(answerer(wiring, "one"), answerer(wiring, "two")))

    return run_scenario(root, [ScriptedModel(Crowd().reply), ScriptedModel("Four.")], story, **raw)


def asked_at_once(root: Path, raw: Raw) -> object:
    """See how many of two requests a model works on at the same time."""
    crowd = Crowd()

    async def story(wiring: Wiring) -> None:
        await asyncio.gather(answerer(wiring, "one"), answerer(wiring, "two"))

    run_scenario(root, [ScriptedModel(crowd.reply)], story, **raw)
    return crowd.peak


def asked_for_one_question(root: Path, raw: Raw) -> object:
    """See how often a task that never stops gets to a model."""

    async def loop(question: Question, model: Model) -> Draft[Answer]:
        while True:
            await TASK.run(question, model)

    endless = Task(name="echo", takes=Question, gives=Answer, run=loop, baseline=TASK.baseline)
    model = ScriptedModel("again")
    run_scenario(root, [model], lambda wiring: answerer(wiring, "hello"), task=endless, **raw)
    return len(model.requests)


def asked_for_the_same_question_twice(root: Path, raw: Raw) -> object:
    """See how often a model is asked."""
    model = ScriptedModel("Four.")

    async def story(wiring: Wiring) -> None:
        for _ in range(2):
            await answerer(wiring, "hello")

    run_scenario(root, [model], story, **raw)
    return len(model.requests)


def sent(root: Path, raw: Raw) -> object:
    """See what a model is sent instead of an address."""
    model = ScriptedModel("Hello.")
    run_scenario(root, [model], lambda wiring: answerer(wiring, "ada@example.com"), **raw)
    [address] = set(re.findall(r"\[EMAIL_1\]|ada@example\.com", str(model.requests)))
    return address


def sent_as_cap(root: Path, raw: Raw) -> object:
    """See how many tokens a model is told to write at most."""
    caps: list[int | None] = []

    async def reply(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        caps.append((info.model_settings or {}).get("max_tokens"))
        return ModelResponse([TextPart("Four.")], usage=RequestUsage(input_tokens=10, output_tokens=5))

    run_scenario(root, [ScriptedModel(reply)], lambda wiring: answerer(wiring, "hello"), **raw)
    return caps[0]


def charged(root: Path, raw: Raw) -> object:
    """See what ten tokens in and five out cost, in US dollars."""

    async def story(wiring: Wiring) -> float:
        call = wiring.service.new_call("alice")
        await wiring.service.answer(Question(text="hello"), call)
        return to_usd(call.cost)

    return run_scenario(root, [ScriptedModel("Four.")], story, **raw)


def due_in_hours(root: Path, raw: Raw) -> object:
    """See when a person is to have answered."""

    async def story(wiring: Wiring) -> int:
        outcome = await wiring.service.answer(Question(text="why?"), wiring.service.new_call("alice"))
        return round((outcome.due_at - now()).total_seconds() / 3600) if isinstance(outcome, Referred) else 0

    return run_scenario(root, [], story, **raw)


def late_calls(root: Path, raw: Raw) -> object:
    """See how many calls are counted as late."""

    async def story(wiring: Wiring) -> float:
        await answerer(wiring, "hello")
        page, _ = wiring.telemetry.metrics_page()
        families = text_string_to_metric_families(page.decode())
        return sum(one.value for each in families for one in each.samples if one.name == "chassis_calls_slow_total")

    return run_scenario(root, [ScriptedModel("Four.")], story, **raw)


def statuses(*texts: str, together: bool = False) -> See:
    """See the HTTP statuses of questions, asked one after the other or all at once."""

    def see(root: Path, raw: Raw) -> object:
        with (
            open_door(root, ScriptedModel(Crowd().reply), **raw) as door,
            ThreadPoolExecutor(len(texts) if together else 1) as callers,
        ):
            return sorted(answer.status_code for answer in callers.map(door.ask, texts))

    return see


def worked_on_at_once(root: Path, raw: Raw) -> object:
    """See how many of two calls are under way at the same time."""
    crowd = Crowd()
    with open_door(root, ScriptedModel(crowd.reply), **raw) as door, ThreadPoolExecutor(2) as callers:
        list(callers.map(door.ask, ("one", "two")))
    return crowd.peak
