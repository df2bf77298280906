"""The review page over HTTP: who gets in, what its forms accept, and what a reviewer sees."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chassis.clock import now
from chassis.contract import FallbackReason
from chassis.store.credentials import SESSION
from chassis.web.pages import labeled
from review_desk import Desk, Question, csrf_token, open_desk, send


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Generator[Desk]:
    """Serve the sample once for all tests."""
    with open_desk(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


@pytest.fixture
def desk(shared_desk: Desk) -> Desk:
    """Start each test with an empty queue."""
    shared_desk.clear()
    return shared_desk


def test_nothing_is_shown_without_a_session(desk: Desk) -> None:
    """Every path but the sign-in answers 401 and shows nothing of a referral."""
    ticket, client = desk.refer("a secret question"), desk.client()
    for method, path in (("GET", ""), ("POST", f"/{ticket}"), ("POST", "/sign-out"), ("GET", "?after=" + ticket)):
        for cookie in ("", "review_session=", "review_session=guess", f"review_session={desk.key_of('ann')}"):
            response = client.request(method, f"/review{path}", data={"action": "pass"}, headers={"Cookie": cookie})
            assert response.status_code == 401
            assert "Reviewer key" in response.text
            assert "secret" not in response.text
    assert desk.fetched(ticket)["status"] == "open"


def test_only_the_key_of_a_reviewer_signs_in(desk: Desk) -> None:
    """Callers cannot review, and reviewers cannot call."""
    for key in ("", "guess", desk.service.key, desk.key_of("ann")[:-1]):
        refused = desk.client().post("/review/sign-in", data={"key": key})
        assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)

    authorization = {"Authorization": f"Bearer {desk.key_of('ann')}"}
    assert desk.client().post("/v1/shout", json={"text": "hello"}, headers=authorization).status_code == 401
    signed_in = desk.client().post("/review/sign-in", data={"key": f" {desk.key_of('ann')} "})
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/review")
    cookie = signed_in.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/review", "max-age=43200"))


def test_a_session_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends by signing out, with its key, and after twelve hours."""
    out, revoked, old = (desk.signed_in(name) for name in ("out", "revoked", "old"))
    assert [client.get("/review").status_code for client in (out, revoked, old)] == [200, 200, 200]

    cookie = out.cookies["review_session"]
    out.post("/review/sign-out", data={"csrf": csrf_token(out.get("/review").text)})
    assert out.get("/review", headers={"Cookie": f"review_session={cookie}"}).status_code == 401
    keys = {key.caller: key.id for key in desk.service.run(desk.service.wiring.api_keys.list_keys())}
    desk.service.run(desk.service.wiring.api_keys.revoke(keys["revoked"]))
    assert revoked.get("/review").status_code == 401
    later = now() + SESSION + timedelta(seconds=1)
    monkeypatch.setattr("chassis.store.credentials.now", lambda: later)
    assert old.get("/review").status_code == 401


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        ("other", {}),
        ("own", {"Sec-Fetch-Site": "cross-site"}),
        ("own", {"Sec-Fetch-Site": "same-site"}),
        ("own", {"Sec-Fetch-Site": "none"}),
    ],
)
def test_forms_of_other_sites_are_refused(desk: Desk, token: str, headers: dict[str, str]) -> None:
    """A form needs the token of its own session, and the browser must not say that another site sent it."""
    ticket, client = desk.refer(), desk.signed_in("ann")
    known = {
        "own": csrf_token(client.get("/review").text),
        "other": csrf_token(desk.signed_in("bob").get("/review").text),
    }

    form = {"csrf": known.get(token, token), "action": "pass", "answer": "Refunds take five days."}
    refused = client.post(f"/review/{ticket}", data=form, headers=headers)

    assert refused.status_code == 403
    assert desk.fetched(ticket)["status"] == "open"
    if headers:
        signing_in = desk.client().post("/review/sign-in", data={"key": desk.key_of("ann")}, headers=headers)
        assert (signing_in.status_code, "set-cookie" in signing_in.headers) == (403, False)


def test_no_page_loads_anything(desk: Desk) -> None:
    """The policy names nothing but the nonce of this very response, and no page is cached."""
    desk.refer()
    client = desk.signed_in("ann")
    pages = [client.get("/review"), client.get("/review"), desk.client().get("/review"), client.post("/review/r_1")]
    policies = {page.headers["Content-Security-Policy"] for page in pages}

    assert len(policies) == len(pages)
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'nonce-")
        assert not any(word in policy for word in ("unsafe", "http", "*", "data:", "'self' "))
        assert (page.headers["Cache-Control"], page.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_pass_gives_the_caller_the_draft(desk: Desk) -> None:
    """The draft becomes the answer as it is, with its sources. The confidence is shown only now."""
    ticket, client = desk.refer(), desk.signed_in("ann")
    before = client.get("/review").text
    assert "A refund takes five days." in before
    assert "0.31" not in before

    saved = send(client, ticket, "pass", answer="Refunds take five days.", tag=["good", ""], note="Checked.\r\n")

    assert (saved.status_code, saved.headers["Location"]) == (303, f"/review?after={ticket}")
    after = client.get(saved.headers["Location"]).text
    assert "confidence was 0.31" in after
    assert "No question waits for a person." in after
    assert desk.fetched(ticket)["answer"] == {
        "text": "Refunds take five days.",
        "sources": [{"title": "Refunds", "quote": "A refund takes five days."}],
    }
    stored = desk.service.run(desk.service.wiring.review_queue.find(ticket))
    assert stored
    assert (stored.verdict, stored.tags, stored.note, stored.answered_by) == ("pass", ["good"], "Checked.", "ann")


@pytest.mark.parametrize(
    ("entered", "text"),
    [("Three days.", "Three days."), ('{"text": "Three days."}', "Three days."), ("One.\r\nTwo.", "One.\nTwo.")],
)
def test_fail_gives_the_caller_the_correction(desk: Desk, entered: str, text: str) -> None:
    """It is plain text, or JSON of the task's type."""
    ticket = desk.refer()

    assert send(desk.signed_in("ann"), ticket, "fail", answer=entered).status_code == 303

    assert desk.fetched(ticket)["answer"] == {"text": text, "sources": []}


LONG = "x" * 41


@pytest.mark.parametrize(
    ("action", "fields", "problem"),
    [
        ("pass", {"answer": "Three days."}, "You changed the answer"),
        ("fail", {"answer": "Refunds take five days."}, "Correct the answer first"),
        ("fail", {"answer": " \r\n"}, "Correct the answer first"),
        ("fail", {"answer": '{"text": 3}'}, "the answer: text: the value is 3"),
        ("fail", {"answer": '{"text": "Three", "x": '}, "not valid JSON"),
        ("fail", {"answer": "Three days.", "tag": LONG}, "at most 10 tags of at most 40 characters"),
        ("fail", {"answer": "Three days.", "tag": [str(number) for number in range(11)]}, "at most 10 tags"),
        ("fail", {"answer": "Three days.", "note": "x" * 5001}, "a note of at most 5000 characters"),
        ("other", {"answer": "Three days."}, "Choose Pass, Fail or Defer"),
        ("", {"answer": "Three days."}, "Choose Pass, Fail or Defer"),
    ],
)
def test_what_cannot_be_saved_is_explained(desk: Desk, action: str, fields: dict[str, Any], problem: str) -> None:
    """The page comes back with what was entered, and nothing is saved."""
    ticket, client = desk.refer(), desk.signed_in("ann")

    refused = send(client, ticket, action, **{"note": "Keep me.", **fields})

    assert refused.status_code == 422
    assert problem in refused.text
    assert fields.get("note", "Keep me.") in refused.text
    assert desk.fetched(ticket)["status"] == "open"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("r_none", "action=pass&csrf={csrf}", 404),
        ("%00", "action=pass&csrf={csrf}", 404),
        ("{ticket}", "action=fail&csrf={csrf}&answer=Three%00days.&note=%00&tag=%00", 303),
        ("{ticket}", "action=fail&csrf={csrf}&answer=Three+%ff+days.", 303),
        ("{ticket}", "action=fail&csrf={csrf}" + "&tag=x" * 200, 422),
        ("{ticket}", "action=fail&csrf={csrf}&note=" + "x" * 1_000_000, 413),
        ("{ticket}", "\x00\x01", 403),
        ("{ticket}", "csrf=%C3%A9", 403),
    ],
)
def test_hostile_forms_are_no_errors(desk: Desk, path: str, body: str, status: int) -> None:
    """Whatever a signed-in program sends, the response is a page and never a failure of the service."""
    ticket, client = desk.refer(), desk.signed_in("ann")
    values = {"ticket": ticket, "csrf": csrf_token(client.get("/review").text)}
    for name, value in values.items():
        path, body = path.replace(f"{{{name}}}", value), body.replace(f"{{{name}}}", value)

    response = client.post(
        f"/review/{path}",
        content=body.encode("latin-1"),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert response.status_code == status
    assert client.get("/review?after=%00").status_code == 200


def test_two_reviewers_get_different_referrals(desk: Desk) -> None:
    """The second one who answers is told who was first, and the answer stays."""
    first, second = desk.refer("one"), desk.refer("two")
    ann, bob = desk.signed_in("ann"), desk.signed_in("bob")
    assert f"/review/{first}" in ann.get("/review").text
    assert f"/review/{second}" in bob.get("/review").text

    late = send(bob, first, "fail", answer="No.")
    assert (late.status_code, f"ann is reviewing {first}" in late.text) == (409, True)
    assert send(ann, first, "fail", answer="Yes.").status_code == 303
    for client in (ann, bob):
        again = send(client, first, "fail", answer="No.")
        assert (again.status_code, f"{first} was answered by ann" in again.text) == (409, True)
    assert desk.fetched(first)["answer"]["text"] == "Yes."


def test_undo_ends_when_the_caller_has_the_answer(desk: Desk) -> None:
    """Until then the referral comes back with its tags and its note."""
    ticket, client = desk.refer(), desk.signed_in("ann")
    send(client, ticket, "fail", answer="Three days.", tag="slow", note="A note to keep")
    assert send(client, ticket, "undo").status_code == 303
    again = client.get("/review").text
    assert 'value="slow" checked' in again
    assert "A note to keep" in again

    send(client, ticket, "fail", answer="Three days.")
    desk.fetched(ticket)
    assert send(client, ticket, "undo").status_code == 409
    after = client.get(f"/review?after={ticket}").text
    assert "Its caller has the answer." in after
    assert "Undo <kbd>" not in after


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"text": "Three days.", "sources": []}, [("text", "Three days.")]),
        ({"text": "Three days.", "note": None, "tags": [], "facts": {}, "end": ""}, [("text", "Three days.")]),
        ({"text": "No.", "urgent": False, "count": 0}, [("text", "No."), ("urgent", "false"), ("count", "0")]),
        ({"text": "No.", "tags": ["a"]}, [("text", "No."), ("tags", '[\n  "a"\n]')]),
        ({"items": []}, [("items", "[]")]),
        ({"text": "See.", "sources": [{"quote": "x"}]}, [("text", "See.")]),
    ],
)
def test_empty_fields_are_not_shown(fields: dict[str, Any], shown: list[tuple[str, str]]) -> None:
    """A draft without sources looks like one with sources, and no value is lost."""
    assert labeled(fields) == shown


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "No model has a key, and the baseline was not sure enough."),
        ({"models": []}, "No model is configured, and the baseline was not sure enough."),
    ],
)
def test_the_page_says_why_no_model_was_asked(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    """A model without a key is configured all the same."""
    with open_desk(tmp_path, **changes) as desk:
        queue = desk.service.wiring.review_queue
        question = Question(text="hello").model_dump_json()
        desk.service.run(queue.refer("shout", "alice", "c_1", FallbackReason.NO_MODEL, question, None))
        client = desk.signed_in("ann")
        assert sentence in client.get("/review").text
        assert f"{sentence.partition(',')[0]}; the baseline answers." in client.get("/review/status").text


def test_a_question_without_a_draft_can_only_be_answered(desk: Desk) -> None:
    """There is nothing to pass."""
    ticket, client = desk.refer(draft=None), desk.signed_in("ann")
    assert "There is no draft. Write the answer." in client.get("/review").text

    assert send(client, ticket, "pass", answer="").status_code == 422
    assert send(client, ticket, "fail", answer="").status_code == 422
    assert send(client, ticket, "defer").status_code == 303
    assert send(client, ticket, "fail", answer="Three days.").status_code == 303
    assert desk.fetched(ticket)["answer"]["text"] == "Three days."
