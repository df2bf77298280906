"""Single sign-on to the review page, with an OpenID Connect provider that is not ours, and with one that lies."""

import json
from collections.abc import Callable, Generator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from unittest.mock import Mock
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from chassis.clock import now
from chassis.config.project import Settings
from chassis.errors import ConfigError
from chassis.web.single_sign_on import CALLBACK, SingleSignOn
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from oidc_provider_mock import User, run_server_in_thread  # pyright: ignore[reportMissingTypeStubs]
from review_desk import Desk, chromium, open_desk
from shell import free_port

PUBLIC_URL = "http://127.0.0.1:1"
USERS = (
    User(sub="ann", claims={"email": "Ann@acme.example", "email_verified": True}),
    User(sub="bob", claims={"email": "bob@acme.example", "email_verified": True}),
    User(sub="cat", claims={"email": "cat@other.example", "email_verified": True}),
    User(sub="dan", claims={"email": "ann@acme.example", "email_verified": False}),
    User(sub="eve", claims={}),
)


@pytest.fixture(scope="module")
def issuer() -> Generator[str]:
    """Run the provider, which signs in anyone whose name is entered."""
    with run_server_in_thread(user_claims=USERS, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


def set_variables(patch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set the variables of single sign-on; an empty one counts as not set."""
    default = {"CLIENT_ID": "acme-help", "REVIEWERS": "ann@acme.example, @partner.example"}
    patch.setenv("CHASSIS_PUBLIC_URL", variables.pop("PUBLIC_URL", PUBLIC_URL))
    for name, value in {**default, **variables}.items():
        patch.setenv(f"CHASSIS_OIDC_{name}", value)


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the variables for one test."""
    return partial(set_variables, monkeypatch)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Generator[Desk]:
    """Serve the sample with single sign-on."""
    with pytest.MonkeyPatch.context() as patch:
        set_variables(patch, ISSUER=issuer)
        with open_desk(tmp_path_factory.mktemp("desk")) as opened:
            yield opened


def leave(client: httpx2.Client) -> str:
    """Begin to sign in, and return the address of the provider."""
    return client.get("/review/sign-in/provider").headers["Location"]


def come_back(client: httpx2.Client, location: str, user: str, **form: str) -> httpx2.Response:
    """Sign in at the provider, and follow it back to the service."""
    answer = httpx2.post(location, data={"sub": user, **form}).headers["Location"]
    assert answer.startswith(PUBLIC_URL + CALLBACK)
    return client.get(answer.removeprefix(PUBLIC_URL))


def test_a_reviewer_signs_in(desk: Desk) -> None:
    """They are known by their email address. The cookie is one that the browser sends when it comes from elsewhere."""
    client = desk.client()
    assert "Sign in with single sign-on" in client.get("/review").text
    back = come_back(client, leave(client), "ann")

    assert (back.status_code, back.headers["Location"]) == (303, "/review")
    cookies = [cookie.lower() for cookie in back.headers.get_list("set-cookie")]
    assert all(part in cookies[0] for part in ("review_session=", "httponly", "samesite=lax", "path=/review"))
    assert "review_sign_in=" in cookies[1]
    assert "max-age=0" in cookies[1]
    page = client.get("/review")
    assert (page.status_code, "ann@acme.example" in page.text) == (200, True)
    events = desk.service.run(desk.service.wiring.database.fetch("SELECT reviewer, action FROM review_events"))
    assert [(event["reviewer"], event["action"]) for event in events] == [("ann@acme.example", "signed_in")]


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("bob", "not among the reviewers"),
        ("cat", "not among the reviewers"),
        ("dan", "email address is verified"),
        ("eve", "email address is verified"),
        ("zoe@acme.example", "email address is verified"),
    ],
)
def test_everyone_else_is_refused(desk: Desk, user: str, reason: str) -> None:
    """Another person of the company, another company, an address that nobody verified, none at all, a stranger."""
    client = desk.client()
    back = come_back(client, leave(client), user)
    assert (back.status_code, reason in back.text) == (401, True)
    assert "set-cookie" not in back.headers
    assert client.get("/review").status_code == 401


def test_an_answer_counts_for_the_browser_that_asked(desk: Desk) -> None:
    """Not without its cookie, with another state, twice, or after the person declined."""
    client, other = desk.client(), desk.client()
    location = leave(client)
    leave(other)
    answer = httpx2.post(location, data={"sub": "ann"}).headers["Location"].removeprefix(PUBLIC_URL)

    assert "began no sign-in" in desk.client().get(answer).text
    assert "belongs to another sign-in" in other.get(answer).text
    assert "belongs to another sign-in" in client.get(CALLBACK).text
    assert client.get(answer).status_code == 303
    client.cookies.clear()
    assert client.get(answer).status_code == 401
    declined = come_back(client, leave(client), "ann", action="deny")
    assert (declined.status_code, "did not sign you in" in declined.text) == (401, True)
    assert client.get("/review").status_code == 401


def test_who_is_no_reviewer_any_more_is_signed_out(tmp_path: Path, issuer: str, configure: Callable[..., None]) -> None:
    """A session does not outlive the entry of its reviewer, nor single sign-on itself."""
    configure(ISSUER=issuer)
    with open_desk(tmp_path) as desk:
        client = desk.client()
        come_back(client, leave(client), "ann")
        cookies = dict(client.cookies)
        assert client.get("/review").status_code == 200
    for variables, status in (({}, 200), ({"REVIEWERS": "bob@acme.example"}, 401), ({"ISSUER": ""}, 401)):
        configure(**{"ISSUER": issuer, **variables})
        with open_desk(tmp_path) as desk:
            client = desk.client()
            client.cookies.update(cookies)
            assert client.get("/review").status_code == status


def test_without_single_sign_on_there_is_no_sign_in_by_it(tmp_path: Path, configure: Callable[..., None]) -> None:
    """Neither its button nor its addresses exist."""
    configure(ISSUER="")
    with open_desk(tmp_path) as desk:
        client = desk.client()
        assert "single sign-on" not in client.get("/review").text
        assert [client.get(path).status_code for path in ("/review/sign-in/provider", CALLBACK)] == [404, 404]


@pytest.mark.parametrize(
    ("variables", "variable", "problem"),
    [
        ({"CLIENT_ID": ""}, "CHASSIS_OIDC_CLIENT_ID", "it is not set"),
        ({"REVIEWERS": ""}, "CHASSIS_OIDC_REVIEWERS", "it is not set"),
        ({"PUBLIC_URL": ""}, "CHASSIS_PUBLIC_URL", "it is not set"),
        ({"REVIEWERS": "ann"}, "CHASSIS_OIDC_REVIEWERS", "one entry is 'ann'"),
        ({"REVIEWERS": "@"}, "CHASSIS_OIDC_REVIEWERS", "one entry is '@'"),
        ({"REVIEWERS": "ann@acme.example @com"}, "CHASSIS_OIDC_REVIEWERS", "one entry is '@com'"),
        ({"ISSUER": "http://idp.example"}, "CHASSIS_OIDC_ISSUER", "http://idp.example"),
        ({"PUBLIC_URL": "http://help.example"}, "CHASSIS_PUBLIC_URL", "http://help.example"),
    ],
)
def test_settings_that_cannot_work(
    configure: Callable[..., None], variables: dict[str, str], variable: str, problem: str
) -> None:
    """The service does not start, and says which variable to correct."""
    configure(**{"ISSUER": "https://idp.example", **variables})
    with pytest.raises(ConfigError, match=problem) as caught:
        SingleSignOn.from_settings(Settings())
    assert caught.value.where == variable


def test_the_package_is_an_extra(configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the service does not start, and says how to add it."""
    configure(ISSUER="https://idp.example")
    monkeypatch.setattr("chassis.web.single_sign_on.find_spec", Mock(return_value=None))
    with pytest.raises(ConfigError, match=r"joserfc is not installed.*ai-service-chassis\[oidc\]"):
        SingleSignOn.from_settings(Settings())


KEY, OTHER_KEY, SHARED_KEY = RSAKey.generate_key(2048), RSAKey.generate_key(2048), OctKey.generate_key(256)


class Provider(BaseHTTPRequestHandler):
    """A provider that answers whatever the test puts into `lies`."""

    lies: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        """Answer the configuration and the keys."""
        base = f"http://{self.headers['Host']}"
        paths = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
        configuration = {"issuer": base, **{name: base + path for name, path in paths.items()}}
        keys = KeySet([KEY]).as_dict(private=False)
        self._answer({"/keys": keys}.get(self.path, configuration))

    def do_POST(self) -> None:
        """Answer the tokens."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"access_token": "a", "id_token": "t"})

    def _answer(self, answer: object) -> None:
        lie = self.lies.get(self.path, answer)
        lie = lie(self) if callable(lie) else lie
        body = lie if isinstance(lie, bytes) else json.dumps(lie).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Print nothing."""


def id_token(nonce: str, /, **changes: Any) -> Callable[[Provider], dict[str, str]]:
    """Return tokens with an ID token that is right except for the changes."""

    def answer(provider: Provider) -> dict[str, str]:
        key, algorithm = changes.get("key", KEY), changes.get("algorithm", "RS256")
        claims: dict[str, Any] = {
            "iss": f"http://{provider.headers['Host']}",
            "aud": "acme-help",
            "sub": "ann",
            "exp": int(now().timestamp()) + 600,
            "nonce": nonce,
            "email": "ann@acme.example",
            "email_verified": True,
        } | {name: value for name, value in changes.items() if name not in {"key", "algorithm"}}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])
        return {"access_token": "a", "id_token": token}

    return answer


@pytest.fixture(scope="module")
def desk_of_liar(tmp_path_factory: pytest.TempPathFactory) -> Generator[Desk]:
    """Serve the sample with the provider that lies."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server, pytest.MonkeyPatch.context() as patch:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        set_variables(patch, ISSUER=f"http://127.0.0.1:{server.server_port}")
        with open_desk(tmp_path_factory.mktemp("liar")) as opened:
            yield opened
        server.shutdown()


@pytest.fixture
def liar(desk_of_liar: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Start each test with a provider that tells the truth."""
    monkeypatch.setattr(Provider, "lies", {})
    return desk_of_liar


def answer_of(desk: Desk, make_tokens: Callable[[str], object]) -> httpx2.Response:
    """Return the response to a browser that comes back, for which the provider has these tokens."""
    client = desk.client()
    query = dict(parse_qsl(urlsplit(leave(client)).query))
    Provider.lies["/token"] = make_tokens(query["nonce"])
    return client.get(CALLBACK, params={"state": query["state"], "code": "c"})


TOKENS: dict[str, Callable[[str], object]] = {
    "another key": lambda nonce: id_token(nonce, key=OTHER_KEY),
    "a shared key": lambda nonce: id_token(nonce, key=SHARED_KEY, algorithm="HS256"),
    "another issuer": lambda nonce: id_token(nonce, iss="https://idp.example"),
    "another client": lambda nonce: id_token(nonce, aud="other"),
    "another sign-in": lambda nonce: id_token(nonce, nonce="other"),
    "no nonce": lambda nonce: id_token(nonce, nonce=None),
    "expired": lambda nonce: id_token(nonce, exp=int(now().timestamp()) - 600),
    "no expiry": lambda nonce: id_token(nonce, exp=None),
    "no subject": lambda nonce: id_token(nonce, sub=None),
    "an address that is a list": lambda nonce: id_token(nonce, email=["ann@acme.example"]),
    "not signed": lambda _: {"id_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."},
    "no token": lambda _: {},
    "a token that is a number": lambda _: {"id_token": 7},
}


@pytest.mark.parametrize("lie", TOKENS)
def test_a_token_that_is_not_for_this_sign_in_is_refused(liar: Desk, lie: str) -> None:
    """The right one is accepted, so it is the difference that counts."""
    assert answer_of(liar, id_token).status_code == 303
    refused = answer_of(liar, TOKENS[lie])
    assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/.well-known/openid-configuration", b"<html>"),
        ("/.well-known/openid-configuration", []),
        ("/.well-known/openid-configuration", {"issuer": "https://idp.example"}),
        ("/token", b"\xff\xfe"),
        ("/token", "text"),
        ("/keys", b""),
        ("/keys", None),
    ],
)
def test_a_provider_that_cannot_be_used_is_a_page(liar: Desk, path: str, answer: object) -> None:
    """The reviewer reads that single sign-on is unavailable, and may use a key instead."""
    tokens: Callable[[str], object] = (lambda _: answer) if path == "/token" else id_token
    if path.startswith("/."):
        Provider.lies[path] = answer
        response = liar.client().get("/review/sign-in/provider")
    else:
        Provider.lies |= {path: answer}
        response = answer_of(liar, tokens)
    assert (response.status_code, "Single sign-on is unavailable" in response.text) == (503, True)
    assert liar.signed_in("bob").get("/review").status_code == 200


@pytest.mark.slow
def test_a_browser_is_still_signed_in_when_it_comes_back(
    tmp_path: Path, issuer: str, configure: Callable[..., None]
) -> None:
    """The provider is another site for it: `localhost` instead of `127.0.0.1`."""
    port = free_port()
    configure(ISSUER=issuer, PUBLIC_URL=f"http://127.0.0.1:{port}")
    with open_desk(tmp_path, port) as desk, chromium() as browser:
        page = browser.new_context().new_page()
        page.goto(desk.url)
        page.get_by_role("link", name="single sign-on").click()
        page.get_by_role("button", name="ann").click()
        page.wait_for_selector("text=Sign out")
        assert page.get_by_text("ann@acme.example").is_visible()
