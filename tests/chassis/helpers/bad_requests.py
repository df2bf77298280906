"""Bad requests and their responses: test cases, and the source of the reference page on errors."""

from collections.abc import Sequence
from dataclasses import dataclass

KEY = "<key>"
"""Stands for a valid key."""
KEYED = ("Authorization", f"Bearer {KEY}")
JSON = ("Content-Type", "application/json")
ONE_KEY = "Send the header `Authorization: Bearer <key>` once, with a key that starts with ck_"
ONLY_JSON = "Send the header `Content-Type: application/json` and a JSON body"
UNREADABLE = "The body is not valid JSON; send one JSON object in UTF-8"
TOO_MANY_DIGITS = "A number in the body has too many digits; send a shorter one"
OBJECT_EXPECTED = "body: A JSON object is expected"
TOO_LARGE = "The body is larger than 10000 bytes"
UNKNOWN_PATH = "There is no such path; /docs lists them all"
WRONG_METHOD = "Use a method that the header Allow lists"


@dataclass(frozen=True, slots=True)
class BadRequest:
    """One row of the table.

    Args:
        what: What is wrong with it.
        status: The HTTP status it gets.
        slug: The last part of the problem's type.
        detail: The detail of the problem.
        body: The body. A sequence is sent in pieces, without a length.
        headers: The headers.
        method: The HTTP method.
        path: The path.
    """

    what: str
    status: int
    slug: str
    detail: str
    body: bytes | Sequence[bytes] = b'{"text": "hello"}'
    headers: tuple[tuple[str, str], ...] = (KEYED, JSON)
    method: str = "POST"
    path: str = "/v1/echo"


BAD_REQUESTS = (
    BadRequest("no key", 401, "unauthenticated", ONE_KEY, headers=(JSON,)),
    BadRequest("no key, and no JSON either", 401, "unauthenticated", ONE_KEY, b"{", headers=(JSON,)),
    BadRequest(
        "an unknown key",
        401,
        "unauthenticated",
        "The API key is invalid or revoked",
        headers=(("Authorization", "Bearer ck_guessed"), JSON),
    ),
    BadRequest(
        "a reviewer's key",
        401,
        "unauthenticated",
        "A key that starts with rk_ is a reviewer's, for the page /review; send one that starts with ck_",
        headers=(("Authorization", "Bearer rk_guessed"), JSON),
    ),
    BadRequest(
        "the key as a password", 401, "unauthenticated", ONE_KEY, headers=(("Authorization", "Basic eDp5"), JSON)
    ),
    BadRequest("two keys", 401, "unauthenticated", ONE_KEY, headers=(KEYED, KEYED, JSON)),
    BadRequest(
        "half a JSON object", 400, "malformed", "The body is not JSON: Expecting value at character 9", b'{"text": '
    ),
    BadRequest(
        "a text without its second quotation mark",
        400,
        "malformed",
        "The body is not JSON: Unterminated string starting at character 9",
        b'{"text": "ping}',
    ),
    BadRequest("bytes that are not UTF-8", 400, "malformed", UNREADABLE, b'{"text": "\xff"}'),
    BadRequest("a number of 5000 digits", 400, "malformed", TOO_MANY_DIGITS, b'{"text": ' + b"9" * 5000 + b"}"),
    BadRequest("a list", 422, "invalid-input", OBJECT_EXPECTED, b'["hello"]'),
    BadRequest("a text", 422, "invalid-input", OBJECT_EXPECTED, b'"hello"'),
    BadRequest("a number", 422, "invalid-input", OBJECT_EXPECTED, b"5"),
    BadRequest("no body", 422, "invalid-input", "body: Field required", b""),
    BadRequest("a missing field", 422, "invalid-input", "body.text: Field required", b"{}"),
    BadRequest(
        "a field of the wrong type", 422, "invalid-input", "body.text: Input should be a valid string", b'{"text": 5}'
    ),
    BadRequest(
        "an empty text", 422, "invalid-input", "body.text: String should have at least 1 character", b'{"text": ""}'
    ),
    BadRequest(
        "an unknown field",
        422,
        "invalid-input",
        "body.volume: Extra inputs are not permitted",
        b'{"text": "hello", "volume": 11}',
    ),
    BadRequest(
        "an unknown field whose name is no name",
        422,
        "invalid-input",
        "body.?: Extra inputs are not permitted",
        b'{"text": "hello", "<b>": 11}',
    ),
    BadRequest(
        "half a character",
        422,
        "invalid-input",
        "body.text: Input should be a valid string, unable to parse raw data as a unicode string",
        rb'{"text": "\ud800"}',
    ),
    BadRequest("two mistakes", 422, "invalid-input", "body.text: Field required (and 1 more)", b'{"txet": "hello"}'),
    BadRequest(
        "a card number where `data.refuse` forbids them",
        422,
        "input-not-allowed",
        "The question seems to contain a card, which the rule data.refuse forbids; remove it and ask again",
        b'{"text": "is 4111 1111 1111 1111 a number?"}',
    ),
    BadRequest("plain text", 415, "wrong-media-type", ONLY_JSON, b"hello", (KEYED, ("Content-Type", "text/plain"))),
    BadRequest("no Content-Type", 415, "wrong-media-type", ONLY_JSON, headers=(KEYED,)),
    BadRequest("a body that is too large", 413, "too-large", TOO_LARGE, b" " * 10_001),
    BadRequest("the same in pieces, without a length", 413, "too-large", TOO_LARGE, (b" " * 5_000,) * 3),
    BadRequest("GET instead of POST", 405, "wrong-method", WRONG_METHOD, b"", (KEYED,), "GET"),
    BadRequest("TRACE", 405, "wrong-method", WRONG_METHOD, b"", (), "TRACE"),
    BadRequest("an unknown method", 405, "wrong-method", WRONG_METHOD, b"", (), "BREW", "/healthz"),
    BadRequest("an unknown path", 404, "not-found", UNKNOWN_PATH, path="/v1/ehco"),
    BadRequest(
        "an unknown page for reviewers",
        404,
        "not-found",
        "There is no such page; /review shows the next referral",
        b"",
        (),
        "GET",
        "/review/nope",
    ),
    BadRequest("a trailing slash", 404, "not-found", UNKNOWN_PATH, path="/v1/echo/"),
    BadRequest(
        "an unknown referral",
        404,
        "not-found",
        "There is no referral with this id for this caller",
        b"",
        (KEYED,),
        "GET",
        "/v1/referrals/r_0",
    ),
)
