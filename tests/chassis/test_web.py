"""The HTTP interface: authentication, answers, errors, probes and the pages about it."""

import asyncio
import json
import re
import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Annotated

import pytest
from bad_requests import BAD_REQUESTS, KEY, BadRequest
from chassis.contract import Draft, Task
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.web.problems import unreadable_body
from live_server import LiveService, serve_live, serve_sample
from pydantic import BaseModel, Field
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo
from sample_task import TASK, Answer, Question
from telemetry_sinks import Lines


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveService]:
    """Serve the sample task without a model, so the baseline answers."""
    with serve_sample(tmp_path_factory.mktemp("service")) as live:
        yield live


def test_an_answer_says_who_gave_it(service: LiveService) -> None:
    """A caller gets the answer, who gave it, and the ids of the call and its trace."""
    response = service.ask("hello")

    body = response.json()
    assert response.status_code == 200
    assert body.pop("call_id") == response.headers["X-Call-Id"]
    assert len(body.pop("trace_id")) == 32
    assert body == {
        "outcome": "answered",
        "answer": {"text": "HELLO"},
        "answered_by": "baseline",
        "degraded": True,
        "fallback_reason": "no_model",
        "confidence": 0.8,
        "confidence_calibrated": False,
        "cost_usd": 0.0,
    }


def test_a_referral_is_answered_by_a_person(service: LiveService) -> None:
    """The caller gets a location, finds an open referral there, and later the person's answer."""
    response = service.ask("why?")
    referred = response.json()

    assert (response.status_code, referred["outcome"]) == (202, "referred")
    assert response.headers["Location"] == referred["location"] == f"/v1/referrals/{referred['referral_id']}"
    assert referred["contact"] == "owner@example.com"

    own_key = {"Authorization": f"Bearer {service.key}"}
    first = service.client.get(referred["location"], headers=own_key).json()
    service.run(service.wiring.reviews.answer(referred["referral_id"], '{"text": "Because."}', "ann"))
    second = service.client.get(referred["location"], headers=own_key).json()

    assert (first["status"], first["answer"]) == ("open", None)
    assert (second["status"], second["answer"]) == ("answered", {"text": "Because."})


def test_a_referral_is_visible_to_its_caller_only(service: LiveService) -> None:
    """Another caller with a valid key gets 404."""
    location = service.ask("why?").headers["Location"]
    other = service.run(service.wiring.api_keys.create("bob"))

    response = service.client.get(location, headers={"Authorization": f"Bearer {other}"})

    assert response.status_code == 404


def test_a_revoked_key_is_rejected(service: LiveService) -> None:
    """Revoking has effect from the next request on. A second time, there is nothing to revoke."""
    key = service.run(service.wiring.api_keys.create("carol"))
    before = service.ask("hello", key).status_code
    (key_id,) = [listed.id for listed in service.run(service.wiring.api_keys.list_keys()) if listed.caller == "carol"]

    revoked = [service.run(service.wiring.api_keys.revoke(key_id)) for _ in range(2)]

    assert (before, revoked, service.ask("hello", key).status_code) == (200, [True, False], 401)


def test_keys_are_stored_as_hashes(service: LiveService) -> None:
    """The database does not contain a key."""
    rows = service.run(service.wiring.database.fetch("SELECT * FROM api_keys"))

    assert rows
    assert service.key not in json.dumps([dict(row) for row in rows])


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: bad.what)
def test_bad_input_is_refused(service: LiveService, bad: BadRequest) -> None:
    """Each bad request gets its status, type and detail as problem+json."""
    response = service.client.request(
        bad.method,
        bad.path,
        headers=[(name, value.replace(KEY, service.key)) for name, value in bad.headers],
        content=bad.body if isinstance(bad.body, bytes) else iter(bad.body),
    )

    problem = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["call_id"] == response.headers["X-Call-Id"]
    assert (response.status_code, problem["status"]) == (bad.status, bad.status)
    assert (problem["type"], problem["detail"]) == (f"/problems/{bad.slug}", bad.detail)
    assert ("Allow" in response.headers) == (bad.status == 405)
    assert ("WWW-Authenticate" in response.headers) == (bad.status == 401)


class Text(BaseModel):
    """A question whose text must not be blank, as in a new repository."""

    text: Annotated[str, Field(min_length=1, pattern=r"\S")]


async def never_run(_question: Text, _model: Model) -> Draft[Answer]:
    """Stand for the model's half of a task that has no model."""
    raise AssertionError


VISIBLE = Task(
    name="echo", takes=Text, gives=Answer, run=never_run, baseline=lambda asked: Draft(Answer(text=asked.text), 1.0)
)


@pytest.mark.parametrize("text", [" ", "\n\t", "\u3000"])
def test_a_blank_text_is_named(tmp_path: Path, text: str) -> None:
    """The sentence is for people who do not read regular expressions."""
    with serve_live(lambda: wire_for_tests(VISIBLE, tmp_path)) as service:
        refused = service.ask(text)

    assert (refused.status_code, refused.json()["detail"]) == (422, "body.text: The text must not be blank")


@pytest.mark.parametrize("text", ["\u200b\u200b", "\u2060 \ufeff", "\u3164", "\u00ad\u034f", "\u202e\n"])
def test_a_text_of_invisible_characters_is_empty(service: LiveService, text: str) -> None:
    """No person could answer it. What has one visible character is a question."""
    refused, answered = service.ask(text), service.ask(f"{text}a\0b")

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "body.text")
    assert answered.status_code == 200


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (RecursionError(), "The body is nested too deeply; send a flatter JSON object"),
        (ValueError("Exceeds the limit"), "A number in the body has too many digits; send a shorter one"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "invalid"), None),
        (None, None),
    ],
)
def test_json_that_python_does_not_read_is_not_called_invalid(cause: Exception | None, sentence: str | None) -> None:
    """How deep is too deep depends on the release of Python."""
    assert unreadable_body(cause) == sentence


@pytest.mark.parametrize(
    "body", ['{"text": ["xyzzy"]}', '{"text": {"xyzzy": 1}}', '{"text": "x", "x y": "xyzzy"}', "{xyzzy"]
)
def test_an_error_does_not_repeat_the_input(service: LiveService, body: str) -> None:
    """The input may be secret, and proxies may log responses."""
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}
    response = service.client.post("/v1/echo", content=body, headers=headers)

    assert response.status_code in {400, 422}
    assert "xyzzy" not in response.text


def test_invalid_fields_are_listed_up_to_a_limit(service: LiveService) -> None:
    """The response lists each invalid field with the reason, but not hundreds of them."""
    headers = {"Authorization": f"Bearer {service.key}"}
    two = service.client.post("/v1/echo", json={"loud": 1}, headers=headers).json()
    many = service.client.post("/v1/echo", json={f"field{number}": 0 for number in range(500)}, headers=headers).json()

    assert two["errors"] == [
        {"field": "body.text", "message": "Field required"},
        {"field": "body.loud", "message": "Extra inputs are not permitted"},
    ]
    assert len(many["errors"]) == 20


@pytest.mark.parametrize(
    "header", ["Content-Length: -1", "Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2x"]
)
def test_a_request_that_is_not_http_is_refused(service: LiveService, header: str) -> None:
    """An invalid Content-Length is refused by the server."""
    with socket.create_connection((service.client.base_url.host, service.client.base_url.port or 0)) as connection:
        connection.sendall(f"POST /v1/echo HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n{{}}".encode())
        status_line = connection.makefile().readline()

    assert status_line.split()[1] == "400"


def test_probes_and_docs_need_no_key(service: LiveService) -> None:
    """Liveness, readiness, metrics and the API's description are open to everyone who can reach the port."""
    service.ask("hello")
    pages = {path: service.client.get(path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")}

    assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(pages, 200)
    assert pages["/healthz"].json() == {"status": "alive"}
    assert pages["/readyz"].json() == {"status": "ready", "models": "none"}
    assert "chassis_calls" in pages["/metrics"].text


def test_openapi_has_the_types_of_the_task(service: LiveService) -> None:
    """A client generated from /openapi.json has types for the question, the answer and the problem."""
    description = service.client.get("/openapi.json").json()
    ask = description["paths"]["/v1/echo"]["post"]
    schemas = description["components"]["schemas"]

    assert ask["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Question"}
    assert schemas["Question"]["properties"]["text"]["maxLength"] == 500
    assert schemas["Answer"]["properties"]["text"]["type"] == "string"
    assert sorted(ask["responses"]) == ["200", "202", "400", "401", "408", "413", "415", "422", "429", "500", "503"]
    assert ask["responses"]["422"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }


def test_an_incoming_trace_is_continued(service: LiveService) -> None:
    """A caller who sends a `traceparent` finds the call in their own trace."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    response = service.ask("hello", traceparent=f"00-{trace_id}-b7ad6b7169203331-01")

    assert response.json()["trace_id"] == trace_id


def test_not_ready_without_a_database(tmp_path: Path, lines: Lines) -> None:
    """Without its database the process is alive but not ready, and calls that arrive anyway are logged as failed."""
    with serve_sample(tmp_path) as service:
        service.run(service.wiring.database.close())
        alive, ready, asked = service.client.get("/healthz"), service.client.get("/readyz"), service.ask("hello")

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["type"] == "/problems/not-ready"
    assert asked.status_code == 500
    assert [line["call_id"] for line in lines.named("request.failed")] == [asked.json()["call_id"]]


def test_every_refusal_is_logged(service: LiveService, lines: Lines) -> None:
    """The call id of a refusal can be found in the log, even if the caller is unknown."""
    response = service.ask("hello", key="ck_guessed")

    (line,) = lines.named("request.refused")
    assert (line["call_id"], line["status"]) == (response.headers["X-Call-Id"], 401)
    assert line["problem"] == "unauthenticated"


def test_a_bug_of_the_team_is_not_shown_to_the_caller(tmp_path: Path, lines: Lines) -> None:
    """An unexpected error is a 500 with a call id for the log, and without its message."""

    async def fail(question: Question, _: Model) -> Draft[Answer]:
        raise RuntimeError(f"the password is xyzzy, {question.text}")

    task = replace(TASK, run=fail)
    with serve_live(lambda: wire_for_tests(task, tmp_path, ScriptedModel("never"))) as service:
        response = service.ask("hello")

    assert (response.status_code, response.json()["type"]) == (500, "/problems/call-failed")
    assert response.json()["call_id"] == response.headers["X-Call-Id"]
    assert "xyzzy" not in response.text
    assert [line["call_id"] for line in lines.named("call.finished")] == [response.headers["X-Call-Id"]]


def test_an_exhausted_budget_is_429(tmp_path: Path) -> None:
    """With `budget_exhausted = "error"`, the caller gets the time until the next budget."""
    with serve_sample(
        tmp_path, ScriptedModel("Four."), cost={"per_day_usd": 0}, fallback={"budget_exhausted": "error"}
    ) as service:
        response = service.ask("2 + 2?")

    assert (response.status_code, response.json()["type"]) == (429, "/problems/budget-exhausted")
    assert 0 < int(response.headers["Retry-After"]) <= 86_400


def test_too_many_calls_at_once(tmp_path: Path) -> None:
    """A full service refuses calls at once with `Retry-After`, and still answers probes."""
    started, finish = Event(), Event()

    async def slowly(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        started.set()
        await asyncio.to_thread(finish.wait, 10)
        return ModelResponse([TextPart("Four.")])

    with (
        serve_sample(tmp_path, ScriptedModel(slowly), limits={"concurrent_calls": 1, "queued_calls": 0}) as service,
        ThreadPoolExecutor() as pool,
    ):
        slow = pool.submit(service.ask, "2 + 2?")
        assert started.wait(10)
        refused, alive = service.ask("hello"), service.client.get("/healthz")
        finish.set()

    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
    assert refused.headers["Retry-After"] == "1"
    assert alive.status_code == 200
    assert slow.result().status_code == 200


def test_docs_load_nothing_from_elsewhere(service: LiveService) -> None:
    """Swagger UI comes from this process, and its policy lets it reach nothing else."""
    page = service.client.get("/docs")
    addresses = re.findall(r"""(?:src|href)=["']?([^"' >]+)|url: '([^']+)'""", page.text)
    assets = {src or url: service.client.get("/" + (src or url)) for src, url in addresses}

    assert set(assets) == {"docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "docs/favicon.png", "openapi.json"}
    assert {asset.status_code for asset in assets.values()} == {200}
    assert not re.search(r"https?://|@import", page.text)
    assert not re.search(r"url\((?![\"']?data:)|@import", assets["docs/swagger-ui.css"].text)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"https?:|\*", policy)


def test_docs_run_only_their_own_scripts(service: LiveService) -> None:
    """Every script carries the nonce of the response, which is never the same twice."""
    pages = [service.client.get("/docs") for _ in range(2)]
    nonces = [re.findall(r"script-src 'nonce-([^']+)'", page.headers["Content-Security-Policy"]) for page in pages]

    assert nonces[0] != nonces[1]
    for page, [nonce] in zip(pages, nonces, strict=True):
        assert re.findall("<script[^>]*>", page.text) == [
            f'<script nonce="{nonce}">',
            f'<script nonce="{nonce}" src="docs/swagger-ui-bundle.js">',
            f'<script nonce="{nonce}">',
        ]


def test_the_rate_limit_is_per_caller(tmp_path: Path) -> None:
    """The third call of a minute is refused before any work, and another caller is still answered."""
    with serve_sample(tmp_path, limits={"calls_per_minute": 2}) as limited:
        answers = [limited.ask("hello") for _ in range(3)]
        other = limited.ask("hello", limited.run(limited.wiring.api_keys.create("bob")))
        page = limited.client.get("/metrics").text

    assert [answer.status_code for answer in (*answers, other)] == [200, 200, 429, 200]
    assert answers[2].json()["type"] == "/problems/too-many-calls"
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert 'chassis_outcome="answered",chassis_task="echo"} 3.0' in page
