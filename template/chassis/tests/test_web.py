"""The HTTP door: who comes in, what they are told, and what nobody is told."""

import asyncio
import json
import re
import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from bad_requests import BAD_REQUESTS, KEY, BadRequest
from live_server import Door, open_door
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from telemetry_sinks import Lines

from chassis.testing import ScriptedModel


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Generator[Door]:
    """A service without a model, so the baseline answers."""
    with open_door(tmp_path_factory.mktemp("door")) as opened:
        yield opened


def test_an_answer_says_who_gave_it(door: Door) -> None:
    """A caller reads the answer, where it comes from, and under which ids it can be found."""
    response = door.ask("hello")

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
        "cost_usd": 0.0,
    }


def test_a_referral_is_answered_by_a_person(door: Door) -> None:
    """A caller is told where to come back, finds the referral open, and later the person's answer."""
    response = door.ask("why?")
    referred = response.json()

    assert (response.status_code, referred["outcome"]) == (202, "referred")
    assert response.headers["Location"] == referred["location"] == f"/v1/referrals/{referred['referral_id']}"
    assert referred["contact"] == "owner@example.com"

    mine = {"Authorization": f"Bearer {door.key}"}
    first = door.client.get(referred["location"], headers=mine).json()
    door.run(door.wiring.review_queue.answer(referred["referral_id"], '{"text": "Because."}', by="ann"))
    second = door.client.get(referred["location"], headers=mine).json()

    assert (first["status"], first["answer"]) == ("open", None)
    assert (second["status"], second["answer"]) == ("answered", {"text": "Because."})


def test_a_referral_is_its_callers_own(door: Door) -> None:
    """Another caller with a valid key finds nothing there."""
    location = door.ask("why?").headers["Location"]
    other = door.run(door.wiring.api_keys.create("bob"))

    response = door.client.get(location, headers={"Authorization": f"Bearer {other}"})

    assert response.status_code == 404


def test_a_revoked_key_opens_nothing(door: Door) -> None:
    """Revoking works from the next request on, and only once."""
    key = door.run(door.wiring.api_keys.create("carol"))
    before = door.ask("hello", key).status_code
    (key_id,) = [known.id for known in door.run(door.wiring.api_keys.list_keys()) if known.caller == "carol"]

    revoked = [door.run(door.wiring.api_keys.revoke(key_id)) for _ in range(2)]

    assert (before, revoked, door.ask("hello", key).status_code) == (200, [True, False], 401)


def test_a_stolen_database_opens_nothing(door: Door) -> None:
    """No table holds a key, only its hash."""
    rows = door.run(door.wiring.database.fetch("SELECT * FROM api_keys"))

    assert rows
    assert door.key not in json.dumps([dict(row) for row in rows])


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: bad.what)
def test_bad_input_is_refused_with_one_sentence(door: Door, bad: BadRequest) -> None:
    """Each bad request gets its status, its stable type and its sentence as problem+json."""
    response = door.client.request(
        bad.method,
        bad.path,
        headers=[(name, value.replace(KEY, door.key)) for name, value in bad.headers],
        content=bad.body if isinstance(bad.body, bytes) else iter(bad.body),
    )

    problem = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["call_id"] == response.headers["X-Call-Id"]
    assert (response.status_code, problem["status"]) == (bad.status, bad.status)
    assert (problem["type"], problem["detail"]) == (f"/problems/{bad.slug}", bad.detail)
    assert ("Allow" in response.headers) == (bad.status == 405)
    assert ("WWW-Authenticate" in response.headers) == (bad.status == 401)


@pytest.mark.parametrize(
    "body", ['{"text": ["xyzzy"]}', '{"text": {"xyzzy": 1}}', '{"text": "x", "x y": "xyzzy"}', "{xyzzy"]
)
def test_a_refusal_never_repeats_what_was_sent(door: Door, body: str) -> None:
    """What a caller wrote may be a secret, and responses are logged by proxies."""
    headers = {"Authorization": f"Bearer {door.key}", "Content-Type": "application/json"}
    response = door.client.post("/v1/echo", content=body, headers=headers)

    assert response.status_code in {400, 422}
    assert "xyzzy" not in response.text


def test_every_mistake_is_named_but_not_thousands(door: Door) -> None:
    """The list of mistakes names field and reason, and is never much longer than a person would read."""
    headers = {"Authorization": f"Bearer {door.key}"}
    two = door.client.post("/v1/echo", json={"loud": 1}, headers=headers).json()
    many = door.client.post("/v1/echo", json={f"field{number}": 0 for number in range(500)}, headers=headers).json()

    assert two["errors"] == [
        {"field": "body.text", "message": "Field required"},
        {"field": "body.loud", "message": "Extra inputs are not permitted"},
    ]
    assert len(many["errors"]) == 20


@pytest.mark.parametrize(
    "header", ["Content-Length: -1", "Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2x"]
)
def test_a_request_that_is_not_http_is_refused(door: Door, header: str) -> None:
    """A length that means nothing is refused before anything of ours reads it."""
    with socket.create_connection((door.client.base_url.host, door.client.base_url.port or 0)) as connection:
        connection.sendall(f"POST /v1/echo HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n{{}}".encode())
        status_line = connection.makefile().readline()

    assert status_line.split()[1] == "400"


def test_who_watches_needs_no_key(door: Door) -> None:
    """Liveness, readiness, metrics, the API's description and its page are there for everyone who reaches the port."""
    pages = {path: door.client.get(path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")}

    assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(pages, 200)
    assert pages["/healthz"].json() == {"status": "alive"}
    assert pages["/readyz"].json() == {"status": "ready", "models": "none"}
    assert "chassis_calls" in pages["/metrics"].text


def test_the_description_has_the_tasks_own_types(door: Door) -> None:
    """Whoever generates a client from /openapi.json gets the question, the answer and the problem as types."""
    description = door.client.get("/openapi.json").json()
    ask = description["paths"]["/v1/echo"]["post"]
    schemas = description["components"]["schemas"]

    assert ask["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Question"}
    assert schemas["Question"]["properties"]["text"]["maxLength"] == 500
    assert schemas["Answer"]["properties"]["text"]["type"] == "string"
    assert sorted(ask["responses"]) == ["200", "202", "400", "401", "408", "413", "415", "422", "429", "500", "503"]
    assert ask["responses"]["422"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }


def test_an_incoming_trace_is_continued(door: Door) -> None:
    """A caller who traces finds our part of the call in their own trace."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    response = door.ask("hello", traceparent=f"00-{trace_id}-b7ad6b7169203331-01")

    assert response.json()["trace_id"] == trace_id


def test_not_ready_without_a_database(tmp_path: Path, lines: Lines) -> None:
    """A process that lost its database stays alive, asks for no calls, and logs why those that come anyway fail."""
    with open_door(tmp_path) as door:
        door.run(door.wiring.database.close())
        alive, ready, asked = door.client.get("/healthz"), door.client.get("/readyz"), door.ask("hello")

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["type"] == "/problems/not-ready"
    assert asked.status_code == 500
    assert [line["call_id"] for line in lines.named("request.failed")] == [asked.json()["call_id"]]


def test_every_refusal_leaves_a_line(door: Door, lines: Lines) -> None:
    """Whoever is refused gets a call id that can be looked up, even if nobody knows who they are."""
    response = door.ask("hello", key="ck_guessed")

    (line,) = lines.named("request.refused")
    assert (line["call_id"], line["status"]) == (response.headers["X-Call-Id"], 401)
    assert line["problem"] == "unauthenticated"


def test_a_mistake_of_the_team_is_told_to_nobody(tmp_path: Path, lines: Lines) -> None:
    """An error that nobody foresaw is a 500 with an id to look for in the log, and nothing of its message."""
    with open_door(tmp_path, ScriptedModel(RuntimeError("the password is xyzzy"))) as door:
        response = door.ask("hello")

    assert (response.status_code, response.json()["type"]) == (500, "/problems/call-failed")
    assert response.json()["call_id"] == response.headers["X-Call-Id"]
    assert "xyzzy" not in response.text
    assert [line["call_id"] for line in lines.named("call.finished")] == [response.headers["X-Call-Id"]]


def test_the_money_is_used_up(tmp_path: Path) -> None:
    """Where the rules refuse such calls, a caller is told when there is money again."""
    with open_door(
        tmp_path, ScriptedModel("Four."), cost={"per_day_usd": 0}, fallback={"budget_exhausted": "error"}
    ) as door:
        response = door.ask("2 + 2?")

    assert (response.status_code, response.json()["type"]) == (429, "/problems/budget-exhausted")
    assert 0 < int(response.headers["Retry-After"]) <= 86_400


def test_too_many_calls_at_once(tmp_path: Path) -> None:
    """A full service says so at once and when to come back; who watches it still gets through."""
    begun, finish = Event(), Event()

    async def slowly(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        begun.set()
        await asyncio.to_thread(finish.wait, 10)
        return ModelResponse([TextPart("Four.")])

    with (
        open_door(tmp_path, ScriptedModel(slowly), limits={"concurrent_calls": 1, "queued_calls": 0}) as door,
        ThreadPoolExecutor() as pool,
    ):
        slow = pool.submit(door.ask, "2 + 2?")
        assert begun.wait(10)
        refused, alive = door.ask("hello"), door.client.get("/healthz")
        finish.set()

    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
    assert refused.headers["Retry-After"] == "1"
    assert alive.status_code == 200
    assert slow.result().status_code == 200


def test_docs_load_nothing_from_elsewhere(door: Door) -> None:
    """Swagger UI comes from this process, and its policy lets it reach nothing else."""
    page = door.client.get("/docs")
    addresses = re.findall(r"""(?:src|href)=["']?([^"' >]+)|url: '([^']+)'""", page.text)
    assets = {src or url: door.client.get("/" + (src or url)) for src, url in addresses}

    assert set(assets) == {"docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "docs/favicon.png", "openapi.json"}
    assert {asset.status_code for asset in assets.values()} == {200}
    assert not re.search(r"https?://|@import", page.text)
    assert not re.search(r"url\((?![\"']?data:)|@import", assets["docs/swagger-ui.css"].text)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"https?:|\*", policy)


def test_docs_run_only_their_own_scripts(door: Door) -> None:
    """Every script carries the nonce of the response, which is never the same twice."""
    pages = [door.client.get("/docs") for _ in range(2)]
    nonces = [re.findall(r"script-src 'nonce-([^']+)'", page.headers["Content-Security-Policy"]) for page in pages]

    assert nonces[0] != nonces[1]
    for page, [nonce] in zip(pages, nonces, strict=True):
        assert re.findall("<script[^>]*>", page.text) == [
            f'<script nonce="{nonce}">',
            f'<script nonce="{nonce}" src="docs/swagger-ui-bundle.js">',
            f'<script nonce="{nonce}">',
        ]


def test_a_caller_who_comes_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    """Two calls a minute are let in, the third is not, another caller is; nothing is done for whoever is refused."""
    with open_door(tmp_path, limits={"calls_per_minute": 2}) as limited:
        answers = [limited.ask("hello") for _ in range(3)]
        other = limited.ask("hello", limited.run(limited.wiring.api_keys.create("bob")))
        page = limited.client.get("/metrics").text

    assert [answer.status_code for answer in (*answers, other)] == [200, 200, 429, 200]
    assert answers[2].json()["type"] == "/problems/too-many-calls"
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert 'chassis_outcome="answered",chassis_task="echo"} 3.0' in page
