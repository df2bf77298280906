"""Feedback: who may give it, what it changes, and what happens to it and to the calls that it is about."""

import asyncio
import sqlite3
from collections.abc import Generator
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chassis.call import Call, Deadline, new_call_id
from chassis.contract import Answered
from chassis.errors import DatabaseUnavailable
from chassis.store.call_history import MAX_BUFFERED, MAX_TEXT_LENGTH, CallHistory
from chassis.store.database import Database
from chassis.store.feedback import Feedback, FeedbackBox, FeedbackVerdict
from chassis.store.opening import open_database
from chassis.store.quality_history import read_counts
from chassis.store.review_queue import ReviewQueue
from chassis.telemetry.instruments import NO_INSTRUMENTS
from chassis.web.schemas import correction_type
from chassis.wiring import Wiring
from database_story import run_with_database
from live_server import LiveService, serve_sample
from pydantic import BaseModel, ValidationError, field_serializer
from sample_task import Answer, Question
from scenario import run_scenario
from short_timeouts import short_timeouts
from telemetry_sinks import Lines, stored

type Title = str

NEGATIVE = Feedback(verdict="negative", comment="It is wrong.", correction='{"text": "right"}')
ANSWERED: Answered[BaseModel] = Answered(Answer(text="HELLO"), "gpt", 0.8, degraded=False, fallback_reason=None)


class Unserializable(BaseModel):
    """A question of a team whose serializer fails."""

    text: str

    @field_serializer("text")
    def fail(self, _: str) -> str:
        """Fail."""
        raise RuntimeError("no")


def remember(history: CallHistory, question: BaseModel | None = None) -> str:
    """Let the history remember an answer that alice got, and return the id of the call."""
    call = Call(new_call_id(), "alice", Deadline.after(5), max_model_requests=1)
    history.add("echo", call, question or Question(text="hello"), ANSWERED)
    return call.id


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveService]:
    """Serve the sample task without a model, so the baseline answers."""
    with serve_sample(tmp_path_factory.mktemp("service")) as live:
        yield live


def send(service: LiveService, body: Any, key: str | None = None) -> httpx2.Response:
    """Send feedback as alice, or with another key."""
    authorization = {"Authorization": f"Bearer {key or service.key}"}
    return service.client.post("/v1/feedback", json=body, headers=authorization)


def answered(service: LiveService, text: str = "hello") -> str:
    """Ask as alice, and return the id of the call."""
    return service.ask(text).json()["call_id"]


def test_negative_feedback_opens_a_referral_that_its_caller_can_fetch(service: LiveService) -> None:
    """The reviewer sees the question, the answer and what the caller wants; the caller gets the person's answer."""
    asked = service.ask("hello").json()
    correction = {"text": "Good morning"}
    body = {"call_id": asked["call_id"], "verdict": "negative", "comment": "Too loud.", "correction": correction}

    receipt = send(service, body).json()

    referral = service.run(service.wiring.review_queue.find(receipt["referral_id"]))
    assert referral
    assert (receipt["verdict"], receipt["trace_id"]) == ("negative", asked["trace_id"])
    assert (referral.source, referral.fallback_reason, referral.call_id) == ("feedback", None, asked["call_id"])
    assert (referral.question, referral.draft, referral.confidence) == ({"text": "hello"}, {"text": "HELLO"}, 0.8)
    service.run(service.wiring.reviews.answer(referral.id, '{"text": "Hello."}', "ann"))
    headers = {"Authorization": f"Bearer {service.key}"}
    fetched = service.client.get(f"/v1/referrals/{referral.id}", headers=headers).json()
    assert (fetched["status"], fetched["answer"]) == ("answered", {"text": "Hello."})


def test_positive_feedback_is_only_stored(service: LiveService) -> None:
    """There is nothing for a person to do."""
    call_id = answered(service)

    receipt = send(service, {"call_id": call_id, "verdict": "positive"}).json()

    assert receipt["referral_id"] is None
    assert service.run(service.wiring.feedback.find(call_id)) == Feedback(verdict="positive")


def test_feedback_can_be_repeated_and_changed(service: LiveService) -> None:
    """The same request twice gets the same response. Later feedback replaces earlier, but opens nothing again."""
    call_id = answered(service)
    negative = {"call_id": call_id, "verdict": "negative", "comment": "Too loud."}

    responses = [send(service, body) for body in (negative, negative, negative | {"verdict": "positive"}, negative)]

    assert [response.status_code for response in responses] == [200] * 4
    assert responses[0].json() == responses[1].json() == responses[3].json()
    assert len({response.json()["referral_id"] for response in responses}) == 1
    rows = service.run(service.wiring.database.fetch("SELECT * FROM referrals WHERE call_id = $1", call_id))
    assert len(rows) == 1


def test_each_call_counts_once(tmp_path: Path) -> None:
    """A changed verdict replaces the first one in the daily counts, on the day of the first."""

    async def story(wiring: Wiring) -> None:
        calls = [wiring.service.new_call("alice") for _ in range(3)]
        for call in calls:
            await wiring.service.answer(Question(text="hello"), call)
        verdicts: list[FeedbackVerdict] = ["negative", "negative", "positive", "negative", "positive"]
        for number, verdict in zip((0, 0, 1, 1, 2), verdicts, strict=True):
            await wiring.feedback.record(calls[number].id, "alice", Feedback(verdict=verdict))

        counts = await read_counts(wiring.database, "echo", ["feedback"], date.min)
        assert {count.value: count.count for count in counts} == {"negative": 2, "positive": 1}

    run_scenario(tmp_path, [], story)


def test_only_the_caller_of_a_call_may_judge_it(service: LiveService) -> None:
    """Another caller, an unknown call, a referred call, and the id of another request get the same 404."""
    bob = service.run(service.wiring.api_keys.create("bob"))
    call_id, referred = answered(service), service.ask("why?").json()["call_id"]
    probe = service.client.get("/healthz").headers["X-Call-Id"]

    refusals = [
        send(service, {"call_id": call_id, "verdict": "negative"}, bob),
        *(send(service, {"call_id": each, "verdict": "negative"}) for each in (new_call_id(), referred, probe)),
    ]

    assert [refusal.status_code for refusal in refusals] == [404] * 4
    assert len({refusal.json()["detail"] for refusal in refusals}) == 1
    assert service.run(service.wiring.feedback.find(call_id)) is None


@pytest.mark.parametrize(
    ("change", "status", "slug"),
    [
        ({"verdict": "meh"}, 422, "invalid-input"),
        ({"verdict": None}, 422, "invalid-input"),
        ({"call_id": "c_1"}, 422, "invalid-input"),
        ({"call_id": "c_" + "0" * 24 + "\n"}, 422, "invalid-input"),
        ({"call_id": ["c_" + "0" * 24]}, 422, "invalid-input"),
        ({"comment": "x" * 5001}, 422, "invalid-input"),
        ({"comment": 5}, 422, "invalid-input"),
        ({"correction": "a text"}, 422, "invalid-input"),
        ({"correction": {"txet": "a text"}}, 422, "invalid-input"),
        ({"volume": 11}, 422, "invalid-input"),
        ({"comment": "4111 1111 1111 1111"}, 422, "input-not-allowed"),
        ({"correction": {"text": "4111 1111 1111 1111"}}, 422, "input-not-allowed"),
        ({"comment": "x" * 10_001}, 413, "too-large"),
    ],
)
def test_hostile_feedback_is_refused(service: LiveService, change: dict[str, Any], status: int, slug: str) -> None:
    """It is checked as questions are, and nothing of it is repeated or stored."""
    call_id = answered(service)

    response = send(service, {"call_id": call_id, "verdict": "negative", **change})

    assert (response.status_code, response.json()["type"]) == (status, f"/problems/{slug}")
    assert "4111" not in response.text
    assert service.run(service.wiring.feedback.find(call_id)) is None


@pytest.mark.parametrize(
    ("correction", "problem"),
    [
        ({}, "Field required"),
        ({"text": ""}, "The text is empty; write the right answer, or leave out the correction"),
        ({"text": " \t\n"}, "The text is empty; write the right answer, or leave out the correction"),
        ({"text": None}, "Input should be a valid string"),
    ],
)
def test_an_empty_correction_is_refused(service: LiveService, correction: dict[str, Any], problem: str) -> None:
    """It would become the expected answer of a case. One with a text is stored."""
    body: dict[str, Any] = {"call_id": answered(service), "verdict": "negative", "correction": correction}

    refusal = send(service, body).json()

    assert (refusal["status"], refusal["detail"]) == (422, f"body.correction.text: {problem}")
    assert refusal["errors"] == [{"field": "body.correction.text", "message": problem}]
    assert service.run(service.wiring.feedback.find(body["call_id"])) is None
    for accepted in ({"text": "Hello."}, None):
        assert send(service, body | {"correction": accepted}).status_code == 200


class Named(BaseModel):
    """An answer whose texts are not written as `str`."""

    title: Title
    note: str | None
    count: int


@pytest.mark.parametrize(("field", "blank"), [("title", ""), ("title", " "), ("note", "\t")])
def test_a_text_is_known_by_its_value(field: str, blank: str) -> None:
    """A blank one is refused however its type is written, and the schema says so. Other values are as before."""
    right = {"title": "A", "note": None, "count": 0}
    corrected = correction_type(Named)

    assert corrected.model_validate(right).model_dump() == right
    with pytest.raises(ValidationError, match="The text is empty"):
        corrected.model_validate(right | {field: blank})
    described = corrected.model_json_schema()["properties"]
    assert [name for name in described if described[name].get("pattern") == r"\S"] == ["title", "note"]


def test_feedback_needs_a_key_and_json(service: LiveService) -> None:
    """It is refused before anything of it is read."""
    for headers, content, status in (
        ({}, "{", 401),
        ({"Authorization": "Bearer ck_guessed"}, "{}", 401),
        ({"Authorization": f"Bearer {service.key}"}, "{}", 415),
        ({"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}, "{", 400),
    ):
        response = service.client.post("/v1/feedback", content=content, headers=headers)
        assert response.status_code == status
        assert response.headers["Content-Type"] == "application/problem+json"


def test_feedback_has_a_rate_limit_of_its_own(tmp_path: Path) -> None:
    """A caller that has used up its calls can still judge them, but not without limit."""
    with serve_sample(tmp_path, limits={"calls_per_minute": 2}) as limited:
        calls = [limited.ask("hello") for _ in range(3)]
        body = {"call_id": calls[0].json()["call_id"], "verdict": "negative"}
        statuses = [send(limited, body).status_code for _ in range(3)]

    assert [call.status_code for call in calls] == [200, 200, 429]
    assert statuses == [200, 200, 429]


def test_feedback_is_part_of_the_trace_of_its_call(tmp_path: Path, lines: Lines) -> None:
    """The verdict is a span below the span of the call, and a log line names the call."""
    with serve_sample(tmp_path) as traced:
        asked = traced.ask("hello").json()
        send(traced, {"call_id": asked["call_id"], "verdict": "positive"})
        page = traced.client.get("/metrics").text
    spans = stored(tmp_path / "var", asked["call_id"])

    call, feedback = (next(span for span in spans if span.name == name) for name in ("call echo", "feedback"))
    assert (feedback.trace_id, feedback.parent_id) == (asked["trace_id"], call.span_id)
    assert feedback.attributes["gen_ai.evaluation.score.label"] == "positive"
    assert 'chassis_feedback_total{chassis_task="echo",chassis_verdict="positive"} 1.0' in page
    [line] = lines.named("feedback.received")
    assert (line["feedback_on"], line["verdict"]) == (asked["call_id"], "positive")


def test_concurrent_feedback_opens_one_referral(store_url: str) -> None:
    """Ten requests of two processes about one call store one verdict and open one referral."""

    async def story(database: Database) -> None:
        other = await open_database(store_url, Path())
        histories = [CallHistory(each, keep_answers=True) for each in (database, other)]
        boxes = [
            FeedbackBox(each, history, ReviewQueue(each, 8), NO_INSTRUMENTS, refer_negative=True)
            for each, history in zip((database, other), histories, strict=True)
        ]
        call_id = remember(histories[0])
        await histories[0].flush()

        recorded = await asyncio.gather(*(box.record(call_id, "alice", NEGATIVE) for box in boxes * 5))
        await other.close()

        [row] = await database.fetch("SELECT * FROM referrals")
        assert {each.referral_id for each in recorded} == {row["id"]}
        assert await boxes[0].find(call_id) == NEGATIVE
        assert len(await database.fetch("SELECT * FROM feedback")) == 1

    run_with_database(store_url, story)


def test_a_full_queue_does_not_lose_feedback(store_url: str) -> None:
    """It is stored without a referral, and opens one when it is sent again and there is room."""

    async def story(database: Database) -> None:
        history = CallHistory(database, keep_answers=True)
        call_id = remember(history)
        full, empty = (
            FeedbackBox(database, history, ReviewQueue(database, 8, max_open=room), NO_INSTRUMENTS, refer_negative=True)
            for room in (0, 1)
        )

        assert (await full.record(call_id, "alice", NEGATIVE)).referral_id is None
        assert await full.find(call_id) == NEGATIVE
        assert (await empty.record(call_id, "alice", NEGATIVE)).referral_id

    run_with_database(store_url, story)


def test_the_history_is_bounded(store_url: str) -> None:
    """The oldest answers are deleted, and what cannot be stored does not keep others from being stored."""

    async def story(database: Database) -> None:
        history = CallHistory(database, keep_answers=True, max_calls=500)
        first = remember(history)
        long, broken = Question.model_construct(text="x" * MAX_TEXT_LENGTH), Unserializable(text="x")
        unstored = [remember(history, question) for question in (long, broken)]
        for _ in range(MAX_BUFFERED - 3):
            remember(history)
        dropped = remember(history)
        await history.flush()
        last = [remember(history) for _ in range(10)][-1]

        assert await history.find(last, "alice")
        found = [await history.find(call_id, "alice") for call_id in (first, *unstored, dropped)]
        assert found == [None] * 4
        assert 500 <= len(await database.fetch("SELECT id FROM calls")) <= 510

    run_with_database(store_url, story)


def test_a_locked_database_delays_no_answer(tmp_path: Path) -> None:
    """The answer is in memory until the database can be written, and then it is there, once."""

    async def story(wiring: Wiring) -> None:
        other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        call = wiring.service.new_call("alice")
        outcome = await wiring.service.answer(Question(text="hello"), call)
        assert isinstance(outcome, Answered)
        with pytest.raises(DatabaseUnavailable):
            await wiring.call_history.flush()
        other.close()

        kept = await wiring.call_history.find(call.id, "alice")
        assert kept
        assert kept.answer == '{"text":"HELLO"}'
        assert len(await wiring.database.fetch("SELECT id FROM calls")) == 1

    with short_timeouts():
        run_scenario(tmp_path, [], story)
