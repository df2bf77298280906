"""No sensitive value leaves the process: the bytes sent to the vendor, the collector and the log are searched."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from chassis import Draft, SensitiveMatch, Task
from chassis.config.constraints import ModelConfig
from chassis.config.project import Settings
from chassis.errors import CallError
from chassis.guard.model import GuardedModel
from chassis.guard.vendors import connect
from chassis.telemetry.local_traces import TRACES_FILE
from chassis.testing import wire_for_tests
from live_server import serve_sample
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models import Model
from recording_vendor import Answer as Reply
from recording_vendor import quoting, recording, repeating, saying
from sample_task import TASK, Answer, Question
from telemetry_sinks import Collector, Lines, collecting

PLANTED = {
    "email": "ada.lovelace@mail.example.org",
    "phone": "+49 30 23125 014",
    "card": "5500 0055 5555 5559",
    "iban": "GB33 BUKB 2020 1555 5555 55",
    "national_id": "AB 12 34 56 C",
    "ip": "203.0.113.77",
    "secret": "ghp_" + "a1B2c3D4" * 5,
    "name": "Grace Murray Hopper",
}
TEXT = "Hello, this is {name}. Write to {email} or call {phone}. {card}, {iban}, {national_id}, {ip}, {secret}".format(
    **PLANTED
)
SETTINGS = Settings(openai_compatible_api_key=SecretStr("the-vendors-own-key"))


def find_grace(text: str) -> list[SensitiveMatch]:
    """Recognize one name."""
    at = text.find(PLANTED["name"])
    return [SensitiveMatch("name", at, at + len(PLANTED["name"]))] if at >= 0 else []


async def fail_with_question(question: Question, model: Model) -> Draft[Answer]:
    """Ask, then raise an error whose message quotes the question, as careless code does."""
    await TASK.run(question, model)
    raise ValueError(f"cannot work with {question.text}")


type Run = Callable[[Question, Model], Awaitable[Draft[Answer]]]


def task(run: Run = TASK.run) -> Task[Question, Answer]:
    """Return the sample task with a recognizer, and another function if one is given."""
    return Task(name="echo", takes=Question, gives=Answer, run=run, baseline=TASK.baseline, recognizers=(find_grace,))


def forms(value: str) -> set[bytes]:
    """Return the encodings to search for: plain, without spaces, and escaped for a URL."""
    return {form.encode() for form in (value, value.replace(" ", ""), quote(value), value.replace(" ", "+"))}


def model_at(url: str) -> Model:
    """Connect the first model to a URL."""
    link = ModelConfig(
        name="first",
        provider="openai-compatible",
        model="first",
        destination="vendor",
        max_output_tokens=100,
        base_url=f"{url}/v1",
        input_usd_per_million=10,
        output_usd_per_million=100,
    )
    model = connect(link, SETTINGS, timeout=5)
    assert model is not None
    return model


ALL = {"vendor": {"classes": ["internal"], "redact": list(PLANTED)}}


@pytest.mark.usefixtures("real_requests")
@pytest.mark.parametrize(
    ("upstream_says", "run", "answered"),
    [
        pytest.param(repeating, TASK.run, True, id="the vendor answers"),
        pytest.param(quoting(500), TASK.run, False, id="the vendor fails"),
        pytest.param(quoting(400), TASK.run, False, id="the vendor refuses"),
        pytest.param(quoting(429), TASK.run, False, id="the vendor is busy"),
        pytest.param(saying(200), TASK.run, False, id="the vendor says nothing"),
        pytest.param(repeating, fail_with_question, False, id="the task raises"),
    ],
)
def test_no_planted_value_leaves(
    tmp_path: Path,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    upstream_says: Callable[[bytes], Reply],
    run: Run,
    answered: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Whether the call succeeds or fails, no value leaves. The caller gets them back, so they were in the question."""
    with recording(upstream_says) as upstream, collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        asked = asyncio.run(ask(tmp_path, model_at(upstream.url), run))

        sent = b"".join(upstream.received)
        assert b"[NAME_1]" in sent and b"[CARD_1]" in sent  # noqa: PT018 - together: the question was sent
        assert len(collector.spans()) > 1
        assert lines.named("call.finished")
        for place in (sent, exported(collector), lines.getvalue().encode()):
            assert {kind for kind, value in PLANTED.items() if any(form in place for form in forms(value))} == set()
    assert (TEXT in asked) is answered


async def ask(root: Path, model: Model, run: Run) -> str:
    """Ask the question, and return the outcome or the type of the error."""
    async with wire_for_tests(task(run), root, model, data={"refuse": []}, destinations=ALL) as wiring:
        try:
            outcome = await wiring.service.answer(Question(text=TEXT), wiring.service.new_call("alice"))
        except (CallError, ValueError) as error:
            return type(error).__name__
        return str(outcome)


def exported(collector: Collector) -> bytes:
    """Return everything that was sent to the collector."""
    return b"".join(request.SerializeToString() for request in [*collector.traces, *collector.metrics])


@pytest.mark.usefixtures("real_requests")
@pytest.mark.parametrize("upstream_says", [repeating, quoting(500)], ids=["answers", "fails"])
def test_no_planted_value_leaves_over_http(
    tmp_path: Path, lines: Lines, upstream_says: Callable[[bytes], Reply]
) -> None:
    """Neither the HTTP server's logs and spans nor the local file of traces contain a value."""
    with recording(upstream_says) as upstream:
        with serve_sample(tmp_path, model_at(upstream.url), data={"refuse": []}, destinations=WITHOUT_NAMES) as service:
            response = service.ask(TEXT.replace(PLANTED["name"], "nobody"), traceparent="")
            assert response.status_code == 200
        stored = b"".join(file.read_bytes() for file in (tmp_path / "var").glob(f"{TRACES_FILE}*"))

    for place in (b"".join(upstream.received), stored, lines.getvalue().encode()):
        assert place
        assert {kind for kind, value in PLANTED.items() if any(form in place for form in forms(value))} == set()


WITHOUT_NAMES = {"vendor": {"classes": ["internal"], "redact": [kind for kind in PLANTED if kind != "name"]}}


class Figures(BaseModel):
    """A structured output."""

    city: str
    inhabitants: list[int]


OUTPUTS: dict[str, Any] = {
    "text": str,
    "tool": ToolOutput(Figures),
    "native": NativeOutput(Figures),
    "prompted": PromptedOutput(Figures),
}
PROMPTS = {
    "JSON": json.dumps([{"id": f"{number:x}", "values": [number] * 5} for number in range(60)]),
    "Chinese": "请问预算用完以后会发生什么？" * 40,
    "emoji": "🙂🙃👩‍🚀" * 60,
    "control": "\x00\x1f\u2028" * 60,
}


@pytest.mark.usefixtures("real_requests", "lines")
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_bound_covers_every_byte_that_is_sent(tmp_path: Path, prompt: str, output: str) -> None:
    """A tokenizer never makes more tokens than bytes, and the SDK sends no more bytes than the bound counts."""

    async def story(url: str) -> int:
        async with wire_for_tests(TASK, tmp_path, model_at(url)) as wiring:
            assert wiring.service.guard is not None
            call = wiring.service.new_call("alice")
            agent = Agent(
                GuardedModel(wiring.service.guard, call), instructions="Be brief.", output_type=OUTPUTS[output]
            )
            with suppress(Exception):  # what the vendor answers does not matter
                await agent.run(PROMPTS[prompt])
            return call.turns[0].max_input_tokens

    with recording(saying(500)) as upstream:
        bound = asyncio.run(story(upstream.url))

    sent = json.loads(upstream.received[0].partition(b"\n\n")[2])
    text = json.dumps([sent["messages"], sent.get("tools"), sent.get("response_format")], ensure_ascii=False)
    assert PROMPTS[prompt] in str(sent["messages"][-1]["content"])
    assert bound >= len(text.encode())
