"""curl is told what is known, is sent to a person otherwise, and finds its trace everywhere."""

import re
import secrets

import pytest
from running_service import Service
from shell import require_program

pytestmark = pytest.mark.slow

KNOWN = "When does a day or a month begin?"
UNKNOWN = "Which colour has the roof of the town hall?"


@pytest.fixture(autouse=True)
def _curl() -> None:
    require_program("curl")


def test_known(service: Service) -> None:
    """A question that the documents answer is answered with the passage and its source, for nothing."""
    reply = service.ask(KNOWN)
    body = reply.body
    assert (reply.status, body["outcome"], body["answered_by"], body["cost_usd"]) == (200, "answered", "baseline", 0)
    assert (body["degraded"], body["fallback_reason"]) == (True, "no_model")
    assert "UTC" in body["answer"]["text"]
    source = body["answer"]["sources"][0]
    assert source["document"] == "handbook/budgets.md"
    assert source["heading"].endswith(KNOWN)
    assert body["answer"]["text"].splitlines()[0] in source["quote"]
    assert body["call_id"] == reply.headers["x-call-id"]


def test_unknown(service: Service) -> None:
    """Any other question gets a ticket; once a person has answered, the same address has the answer."""
    referred = service.ask(UNKNOWN)
    assert (referred.status, referred.body["outcome"], referred.body["contact"]) == (202, "referred", "ai@acme.example")
    location, ticket = referred.headers["location"], referred.body["referral_id"]
    assert location == referred.body["location"] == f"/v1/referrals/{ticket}"
    waiting = service.curl(location, *service.authorized())
    assert (waiting.status, waiting.body["status"], waiting.body["answer"]) == (200, "open", None)

    service.project.run(".venv/bin/chassis", "review", "answer", ticket, '{"text": "It is green."}')

    answered = service.curl(location, *service.authorized())
    assert (answered.status, answered.body["status"]) == (200, "answered")
    assert answered.body["answer"]["text"] == "It is green."
    assert service.curl(location).status == 401


@pytest.mark.parametrize("key", ["ck_wrong", "", "ck_" + "0" * 32])
def test_a_wrong_key(service: Service, key: str) -> None:
    """Nobody without a key of this service gets further than a problem that says so."""
    reply = service.curl("/v1/help", "--header", f"Authorization: Bearer {key}", "--json", '{"text": "Who are you?"}')
    assert (reply.status, reply.headers["content-type"]) == (401, "application/problem+json")
    assert (reply.body["type"], reply.body["status"]) == ("/problems/unauthenticated", 401)


def test_one_trace(service: Service) -> None:
    """The trace that a caller began is the one in the answer, in the log line and on the terminal."""
    trace_id, parent_id = secrets.token_hex(16), secrets.token_hex(8)
    body = service.ask(KNOWN, "--header", f"traceparent: 00-{trace_id}-{parent_id}-01").body
    [line] = [line for line in service.logged("call.finished") if line["call_id"] == body["call_id"]]
    drawn = service.project.run(".venv/bin/chassis", "trace", body["call_id"])
    assert (body["trace_id"], line["trace_id"]) == (trace_id, trace_id)
    assert (line["caller"], line["task"], line["outcome"]) == ("tester", "help", "answered")
    assert re.findall(r"^trace (\w+)", drawn) == [trace_id]
    assert re.search(r"POST /v1/help.*\n.*call help", drawn)


def test_the_log_is_silent_about_words(service: Service) -> None:
    """Every line is JSON, and none repeats a question."""
    service.ask("Is the xylophone budget exhausted?")
    assert len(service.logged("service.started")) == 1
    assert "xylophone" not in service.program.output()
