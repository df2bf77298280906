"""Observations of a running service: who answered, with which status, at what cost, and what a model was sent."""

import asyncio
import os
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import getaddrinfo
from typing import Any
from unittest.mock import patch

from chassis import Answered, Draft, Referred, Task
from chassis.clock import now
from chassis.errors import CallError, NotFound
from chassis.store.feedback import Feedback, FeedbackVerdict
from chassis.testing import Reply, ScriptedModel, constraints_for_tests
from chassis.usd import to_usd
from chassis.wiring import Wiring
from constraint_effects import Raw, See, first_model
from live_server import serve_sample
from prometheus_client.parser import text_string_to_metric_families
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, override_allow_model_requests
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage
from recording_vendor import recording, repeating
from sample_task import TASK, Answer, Question
from scenario import run_scenario
from short_timeouts import short_timeouts
from webhook_receiver import receiving

NAME = "model.example.com"


class Crowd:
    """A slow model that counts how many requests it handles at the same time."""

    def __init__(self, seconds: float = 0.3) -> None:
        self._seconds, self._running = seconds, 0
        self.peak = 0

    async def reply(self, _: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        """Answer after a while."""
        self._running += 1
        self.peak = max(self.peak, self._running)
        await asyncio.sleep(self._seconds)
        self._running -= 1
        return ModelResponse([TextPart("Four.")], usage=RequestUsage(input_tokens=10, output_tokens=5))


async def answerer(wiring: Wiring, text: str) -> str:
    """Ask, and return who answered, why a person will, or the slug of the error."""
    try:
        outcome = await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))
    except CallError as error:
        return error.slug
    return outcome.answered_by if isinstance(outcome, Answered) else f"review: {outcome.fallback_reason}"


def answered_by(*replies: Reply, text: str = "hello") -> See:
    """See who answers if the first model replies like this."""
    return lambda root, raw: run_scenario(root, [ScriptedModel(*replies)], lambda wiring: answerer(wiring, text), **raw)


def answered_late(root: Path, raw: Raw) -> object:
    """See who answers if the model takes two seconds."""
    return answered_by(Crowd(seconds=2).reply)(root, raw)


def answered_without_database(root: Path, raw: Raw) -> object:
    """See who answers while another process keeps the database locked."""

    async def story(wiring: Wiring) -> str:
        other = sqlite3.connect(root / "service.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            return await answerer(wiring, "hello")
        finally:
            other.close()

    with short_timeouts():
        return run_scenario(root, [ScriptedModel("Four.")], story, **raw)


def answered_over_the_network(root: Path, raw: Raw) -> object:
    """See who answers if the host name of the model resolves to this machine."""
    with (
        recording(repeating) as vendor,
        override_allow_model_requests(allow_model_requests=True),
        patch("socket.getaddrinfo", partial(_resolve_to_this_machine, getaddrinfo)),
    ):
        raw["models"][0]["base_url"] = vendor.url.replace("127.0.0.1", NAME) + "/v1"
        return run_scenario(root, [first_model(raw)], lambda wiring: answerer(wiring, "hello"), **raw)


def _resolve_to_this_machine(
    getaddrinfo: Callable[..., object], host: str | bytes | None, *rest: object, **options: object
) -> object:
    return getaddrinfo("127.0.0.1" if host in {NAME, NAME.encode()} else host, *rest, **options)


def answered_two_at_once(root: Path, raw: Raw) -> object:
    """See who answers two concurrent calls."""

    async def story(wiring: Wiring) -> list[str]:
        return sorted(await asyncio.gather(answerer(wiring, "one"), answerer(wiring, "two")))

    return run_scenario(root, [ScriptedModel(Crowd().reply), ScriptedModel("Four.")], story, **raw)


def asked_at_once(root: Path, raw: Raw) -> object:
    """See how many of two requests a model handles at the same time."""
    crowd = Crowd()

    async def story(wiring: Wiring) -> None:
        await asyncio.gather(answerer(wiring, "one"), answerer(wiring, "two"))

    run_scenario(root, [ScriptedModel(crowd.reply)], story, **raw)
    return crowd.peak


def asked_for_one_question(root: Path, raw: Raw) -> object:
    """See how many model requests an endless task makes."""

    async def loop(question: Question, model: Model) -> Draft[Answer]:
        while True:
            await TASK.run(question, model)

    endless = Task(name="echo", takes=Question, gives=Answer, run=loop, baseline=TASK.baseline)
    model = ScriptedModel("again")
    run_scenario(root, [model], lambda wiring: answerer(wiring, "hello"), task=endless, **raw)
    return len(model.requests)


def asked_for_the_same_question_twice(root: Path, raw: Raw) -> object:
    """See how often a model is asked the same question."""
    model = ScriptedModel("Four.")

    async def story(wiring: Wiring) -> None:
        for _ in range(2):
            await answerer(wiring, "hello")

    run_scenario(root, [model], story, **raw)
    return len(model.requests)


def sent(root: Path, raw: Raw) -> object:
    """See what a model gets for an email address."""
    model = ScriptedModel("Hello.")
    run_scenario(root, [model], lambda wiring: answerer(wiring, "ada@example.com"), **raw)
    [address] = set(re.findall(r"\[EMAIL_1\]|ada@example\.com", str(model.requests)))
    return address


def sent_as_cap(root: Path, raw: Raw) -> object:
    """See the cap on output tokens that a model gets."""
    caps: list[int | None] = []

    async def reply(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        caps.append((info.model_settings or {}).get("max_tokens"))
        return ModelResponse([TextPart("Four.")], usage=RequestUsage(input_tokens=10, output_tokens=5))

    run_scenario(root, [ScriptedModel(reply)], lambda wiring: answerer(wiring, "hello"), **raw)
    return caps[0]


def caps_sent(root: Path, raw: Raw) -> object:
    """See under which names a server gets the cap on output tokens."""
    with recording(repeating) as vendor, override_allow_model_requests(allow_model_requests=True):
        raw["models"][0]["base_url"] = f"{vendor.url}/v1"
        run_scenario(root, [first_model(raw)], lambda wiring: answerer(wiring, "hello"), **raw)
    return set(re.findall(r'"(max_\w+)"', str(vendor.received)))


def charged(root: Path, raw: Raw) -> object:
    """See what 10 input and 5 output tokens cost, in US dollars."""

    async def story(wiring: Wiring) -> float:
        call = wiring.service.new_call("alice")
        await wiring.service.answer(Question(text="hello"), call)
        return to_usd(call.cost)

    return run_scenario(root, [ScriptedModel("Four.")], story, **raw)


def due_in_hours(root: Path, raw: Raw) -> object:
    """See in how many hours a referral is due."""

    async def story(wiring: Wiring) -> int:
        outcome = await wiring.service.answer(Question(text="why?"), wiring.service.new_call("alice"))
        return round((outcome.due_at - now()).total_seconds() / 3600) if isinstance(outcome, Referred) else 0

    return run_scenario(root, [], story, **raw)


async def judge(wiring: Wiring, verdict: FeedbackVerdict) -> None:
    """Ask a question that is answered, and send feedback on the answer."""
    call = wiring.service.new_call("alice")
    await wiring.service.answer(Question(text="hello"), call)
    with suppress(NotFound):
        await wiring.feedback.record(call.id, "alice", Feedback(verdict=verdict))


def referred_after_negative_feedback(root: Path, raw: Raw) -> object:
    """See how many referrals are open after negative feedback."""

    async def story(wiring: Wiring) -> int:
        await judge(wiring, "negative")
        return len(await wiring.review_queue.open_referrals())

    return run_scenario(root, [], story, **raw)


def sampled(root: Path, raw: Raw) -> object:
    """See how many answers people have to review after one question."""

    async def story(wiring: Wiring) -> int:
        await answerer(wiring, "hello")
        await wiring.call_history.flush()
        return len(await wiring.review_queue.open_referrals())

    return run_scenario(root, [], story, **raw)


def reviewed_twice(root: Path, raw: Raw) -> object:
    """See how many second reviews there are after one review."""

    async def story(wiring: Wiring) -> int:
        for reviewer in ("ann", "bob"):
            await wiring.api_keys.create(reviewer, "reviewer")
        outcome = await wiring.service.answer(Question(text="why?"), wiring.service.new_call("alice"))
        if isinstance(outcome, Referred):
            await wiring.reviews.answer(outcome.referral_id, "{}", "ann")
        return len(await wiring.review_queue.open_referrals())

    return run_scenario(root, [], story, **raw)


def callback_allowed(_: Path, raw: Raw) -> object:
    """See whether a caller may register a callback."""
    return constraints_for_tests(**raw).callbacks.allow("https://orders.example.com/answers")


def called_back_into_the_network(root: Path, raw: Raw) -> object:
    """See whether an answer is sent to a host whose name leads to this machine."""
    with receiving() as receiver:
        url = receiver.address.replace("127.0.0.1", "orders.example.com")

        def resolve(name: Any, *rest: Any, **options: Any) -> Any:
            is_host = name in {"orders.example.com", b"orders.example.com"}
            return getaddrinfo("127.0.0.1" if is_host else name, *rest, **options)

        async def story(wiring: Wiring) -> int:
            outcome = await wiring.service.answer(Question(text="why?"), wiring.service.new_call("alice"))
            if isinstance(outcome, Referred):
                await wiring.review_queue.set_callback(outcome.referral_id, "alice", url)
                await wiring.reviews.answer(outcome.referral_id, "{}", "ann")
            await wiring.notifier.send_due()
            return len(receiver.got)

        raw["callbacks"]["origins"] = [url.removesuffix("/hook")]
        secret = {"CHASSIS_WEBHOOK_SECRET": "a secret"}
        with patch.dict(os.environ, secret), patch("socket.getaddrinfo", resolve):
            return run_scenario(root, [], story, **raw)


def kept(table: str, days: int) -> See:
    """See whether a table still has its row about a call that was judged, or reviewed, so many days ago."""

    async def story(wiring: Wiring) -> bool:
        await judge(wiring, "positive")
        outcome = await wiring.service.answer(Question(text="why?"), wiring.service.new_call("alice"))
        if isinstance(outcome, Referred):
            await wiring.reviews.answer(outcome.referral_id, "{}", "ann")
        later = now() + timedelta(days=days)
        with patch("chassis.store.deletion.now", lambda: later):
            await wiring.retention.sweep()
        return bool(await wiring.database.fetch(f"SELECT * FROM {table}"))  # noqa: S608 - ours

    return lambda root, raw: run_scenario(root, [], story, **raw)


def late_calls(root: Path, raw: Raw) -> object:
    """See how many calls are counted as slow."""

    async def story(wiring: Wiring) -> float:
        await answerer(wiring, "hello")
        page, _ = wiring.telemetry.metrics_page()
        families = text_string_to_metric_families(page.decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "chassis_calls_slow_total"
        )

    return run_scenario(root, [ScriptedModel("Four.")], story, **raw)


def statuses(*texts: str, together: bool = False) -> See:
    """See the HTTP statuses of questions, asked one after another or concurrently."""

    def see(root: Path, raw: Raw) -> object:
        with (
            serve_sample(root, ScriptedModel(Crowd().reply), **raw) as service,
            ThreadPoolExecutor(len(texts) if together else 1) as callers,
        ):
            return sorted(answer.status_code for answer in callers.map(service.ask, texts))

    return see


def worked_on_at_once(root: Path, raw: Raw) -> object:
    """See how many of two calls run at the same time."""
    crowd = Crowd()
    with serve_sample(root, ScriptedModel(crowd.reply), **raw) as service, ThreadPoolExecutor(2) as callers:
        list(callers.map(service.ask, ("one", "two")))
    return crowd.peak
