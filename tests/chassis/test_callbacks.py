"""Callbacks and the waiting page: an answer reaches its caller, and no URL leads the service elsewhere."""

import base64
import hashlib
import hmac
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from socket import getaddrinfo
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from chassis.config.constraints import Callbacks
from chassis.errors import ReviewConflict
from live_server import LiveService, serve_sample
from webhook_receiver import receiving

ALLOWED = "https://orders.example.com"


@contextmanager
def serving(root: Path, monkeypatch: pytest.MonkeyPatch, *origins: str, **how: Any) -> Generator[LiveService]:
    """Serve the sample, which may send answers to some origins."""
    monkeypatch.setenv("CHASSIS_WEBHOOK_SECRET", "whsec_" + base64.b64encode(b"a key of 24 random bytes").decode())
    with serve_sample(root, callbacks={"origins": list(origins), **how}) as service:
        yield service


def refer(service: LiveService) -> str:
    """Ask what the baseline is not sure of, and return the ticket."""
    response = service.ask("why?")
    assert response.status_code == 202
    return response.json()["referral_id"]


def register(service: LiveService, ticket: str, url: str, key: str | None = None) -> httpx2.Response:
    """Register a callback."""
    headers = {"Authorization": f"Bearer {key or service.key}"}
    return service.client.put(f"/v1/referrals/{ticket}/callback", json={"url": url}, headers=headers)


def answer(service: LiveService, ticket: str) -> None:
    """Answer as a reviewer, and send what is due."""
    service.run(service.wiring.reviews.answer(ticket, '{"text": "Because."}', "ann"))
    service.run(service.wiring.notifier.send_due())


def failures(service: LiveService) -> list[str | None]:
    """Return why callbacks failed."""
    return [failed.error for failed in service.run(service.wiring.notifier.outbox.failing())]


def test_a_callback_brings_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is signed with a secret of the caller's own, is sent once, and is final."""
    with receiving(503) as receiver, serving(tmp_path, monkeypatch, receiver.address.removesuffix("/hook")) as service:
        ticket = refer(service)
        receipt = register(service, ticket, receiver.address).json()
        service.run(service.wiring.notifier.send_due())
        assert receiver.got == []  # the team wants no notifications, and there is no answer yet

        answer(service, ticket)
        assert failures(service) == ["the webhook answered 503"]
        service.run(service.wiring.database.execute("UPDATE notifications SET next_attempt_at = ''"))
        for _ in range(2):
            service.run(service.wiring.notifier.send_due())

        first, (headers, body) = receiver.got
        assert first[0]["webhook-id"] == headers["webhook-id"]
        sent = json.loads(body)
        assert (sent["type"], sent["data"]["referral_id"]) == ("referral.answered", ticket)
        assert sent["data"]["answer"] == {"text": "Because."}
        key = base64.b64decode(receipt["secret"].removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
        signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{signature}"
        assert key != b"a key of 24 random bytes"
        with pytest.raises(ReviewConflict):
            service.run(service.wiring.reviews.undo(ticket, "ann"))


@pytest.mark.parametrize(
    "url",
    [
        "http://orders.example.com/hook",
        "https://orders.example.com:8443/hook",
        "https://orders.example.com:443@evil.example/",
        "https://user:password@orders.example.com/hook",
        "https://user@orders.example.com/hook",
        "https://orders.example.com.evil.example/",
        "https://evil.example/?https://orders.example.com",
        "https://evil.example#@orders.example.com",
        "https://evil.example\\@orders.example.com/",
        "https://orders.example.com\\.evil.example/",
        "https://orders.example.com/\n.evil.example",
        "https://orders.example.com:http/hook",
        "https://[orders.example.com/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
        "ftp://orders.example.com/",
        "file:///etc/passwd",
        "//orders.example.com/",
        "orders.example.com",
        "https://",
        "",
        f"https://orders.example.com/{'x' * 2000}",
    ],
)
def test_only_the_listed_origins_can_be_registered(url: str) -> None:
    """Scheme, host and port have to be the same, and nothing may hide them."""
    assert not Callbacks(origins=(ALLOWED,)).allow(url)


@pytest.mark.parametrize(
    "url", [ALLOWED, f"{ALLOWED}/", f"{ALLOWED}:443/hook?id=1", "https://ORDERS.example.com/a%20b"]
)
def test_the_same_origin_may_be_written_otherwise(url: str) -> None:
    """Paths and queries are the caller's own."""
    assert Callbacks(origins=(ALLOWED,)).allow(url)


def test_registration_is_refused_politely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign origin gets 403, a foreign ticket 404, and another caller has another secret."""
    with serving(tmp_path, monkeypatch, ALLOWED) as service:
        ticket, bob = refer(service), service.run(service.wiring.api_keys.create("bob"))

        assert register(service, ticket, "https://evil.example/").json()["type"].endswith("callback-not-allowed")
        assert register(service, ticket, ALLOWED, bob).status_code == 404
        assert register(service, "r_0", ALLOWED).status_code == 404
        assert register(service, ticket, ALLOWED, "ck_wrong").status_code == 401
        mine, theirs = (service.wiring.notifier.callback_secret(name) for name in ("alice", "bob"))
        assert mine != theirs


def test_without_origins_or_a_secret_there_are_no_callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is registered that would never be sent."""
    with serving(tmp_path / "one", monkeypatch) as service:
        assert register(service, refer(service), ALLOWED).status_code == 403
    monkeypatch.delenv("CHASSIS_WEBHOOK_SECRET")
    with serve_sample(tmp_path / "two", callbacks={"origins": [ALLOWED]}) as service:
        assert register(service, refer(service), ALLOWED).status_code == 403


def test_a_redirect_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it leads."""
    with receiving(302) as receiver, serving(tmp_path, monkeypatch, receiver.address.removesuffix("/hook")) as service:
        ticket = refer(service)
        register(service, ticket, receiver.address)

        answer(service, ticket)

        assert len(receiver.got) == 1
        [reason] = failures(service)
        assert "redirects to http://127.0.0.1:9" in str(reason)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "64:ff9b::a00:1", "::ffff:7f00:1"]
)
def test_a_name_that_leads_into_the_network_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """What the name server says does not matter: the connection is checked before a byte is sent."""
    with receiving() as receiver:
        port = int(receiver.address.rpartition(":")[2].partition("/")[0])
        origin = f"http://orders.example.com:{port}"

        def resolve(name: Any, *rest: Any, **options: Any) -> Any:
            at = address if name in {"orders.example.com", b"orders.example.com"} else name
            return getaddrinfo(at, *rest, **options)

        with serving(tmp_path, monkeypatch, origin) as service, patch("socket.getaddrinfo", resolve):
            ticket = refer(service)
            assert register(service, ticket, f"{origin}/hook").status_code == 200

            answer(service, ticket)

            assert len(failures(service)) == 1
        assert receiver.got == []


def test_an_origin_that_was_removed_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list counts when the answer is sent, not when the callback was registered."""
    with receiving() as receiver:
        origin = receiver.address.removesuffix("/hook")
        with serving(tmp_path, monkeypatch, origin) as service:
            ticket = refer(service)
            register(service, ticket, receiver.address)
        with serving(tmp_path, monkeypatch, ALLOWED) as service:
            answer(service, ticket)
            assert "callbacks.origins" in str(failures(service))
        assert receiver.got == []


def test_a_browser_gets_a_waiting_page(tmp_path: Path) -> None:
    """It loads itself again until there is an answer, and runs nothing that anyone wrote."""
    with serve_sample(tmp_path) as service:
        ticket = refer(service)
        accept = {"Authorization": f"Bearer {service.key}", "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        waiting = service.client.get(f"/v1/referrals/{ticket}", headers=accept)
        assert waiting.headers["content-type"].startswith("text/html")
        assert "A person will answer" in waiting.text
        assert '<meta http-equiv="refresh"' in waiting.text
        assert "default-src 'none'" in waiting.headers["content-security-policy"]

        service.run(service.wiring.reviews.answer(ticket, '{"text": "<script>alert(1)</script>"}', "ann"))

        answered = service.client.get(f"/v1/referrals/{ticket}", headers=accept)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answered.text
        assert "<script" not in answered.text
        assert "http-equiv" not in answered.text
        for kind in ("*/*", "application/json", "application/json, text/html", ""):
            other = service.client.get(f"/v1/referrals/{ticket}", headers=accept | {"Accept": kind})
            assert (other.json()["status"], other.headers["vary"]) == ("answered", "Accept")
