"""Every line of the process, ours or a library's, has one shape and holds no secret and no question."""

import logging
from io import StringIO
from pathlib import Path

import pytest
import structlog
from telemetry_sinks import Lines, started, stored

from chassis.telemetry.logs import configure_logs


def test_libraries_log_in_the_same_shape(lines: Lines) -> None:
    """One parser reads every line of the process; below INFO a library says nothing, so no SDK prints a request."""
    structlog.get_logger().info("service.started")
    logging.getLogger("uvicorn.error").warning("port %s", 8000)
    logging.getLogger("httpx2").info("HTTP Request: POST https://vendor.example/v1/chat")
    chatty = logging.getLogger("openai")
    chatty.setLevel(logging.DEBUG)
    chatty.debug("request options: xylophone")
    chatty.setLevel(logging.NOTSET)
    ours, theirs = lines.parsed()
    assert {"timestamp", "level", "event"} == ours.keys()
    assert (theirs["logger"], theirs["event"], theirs["level"]) == ("uvicorn.error", "port 8000", "warning")
    assert ours.keys() <= theirs.keys()
    assert ours["timestamp"].endswith("Z")


def test_lines_inside_a_span_name_it(tmp_path: Path, lines: Lines) -> None:
    """From any line one finds its trace, a library's line included."""
    telemetry = started(tmp_path)
    with telemetry.instruments.span("work"):
        structlog.get_logger().info("api_key.created")
        logging.getLogger("some.library").warning("slow")
    telemetry.shutdown()
    (span,) = stored(tmp_path)
    assert [(span.trace_id, span.span_id)] * 2 == [(line["trace_id"], line["span_id"]) for line in lines.parsed()]


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        ("ck_", "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"),
        ("sk-", "proj-abcdefghijklm0123456789"),
        ("ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"),
        ("AKIA", "ABCDEFGHIJKLMNOP"),
        ("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLWhlcmU"),
    ],
)
def test_no_key_of_known_shape_gets_into_a_line(lines: Lines, kind: str, secret: str) -> None:
    """Wherever a key hides, in a value, deep inside one, or in a library's message, the line goes without it."""
    structlog.get_logger().info("api_key.created", key=kind + secret, headers={"nested": [f"x {kind}{secret}"]})
    logging.getLogger("some.library").warning("Authorization: Bearer %s", kind + secret)
    ours, theirs = lines.parsed()
    assert secret not in lines.getvalue()
    assert (ours["key"], ours["headers"]) == ("[SECRET]", {"nested": ["x [SECRET]"]})
    assert theirs["event"] == "Authorization: Bearer [SECRET]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bearer dGhpcyBpcyBhIHNlY3JldA==", "Bearer [SECRET]"),
        ("postgresql://app:hunter2@db/acme", "postgresql://app:[SECRET]@db/acme"),
        ("the bearer of good news", "the bearer of good news"),
    ],
)
def test_credentials_in_headers_and_addresses_are_hidden(lines: Lines, text: str, shown: str) -> None:
    """What is around a credential stays readable."""
    structlog.get_logger().info("service.started", text=text)
    assert shown == lines.parsed()[0]["text"]


def fail(words: str) -> None:
    """Raise an exception that says and holds these words."""
    raise ValueError(words)


def test_an_exception_is_places_without_words(lines: Lines) -> None:
    """A line says what failed and where; neither the message nor a local variable, which may hold a question."""
    try:
        fail("xylophone played")
    except ValueError:
        structlog.get_logger().exception("call.finished")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    for line in lines.parsed():
        (stack,) = line["exception"]
        assert stack["exc_type"] == "ValueError"
        assert stack["frames"][-1]["name"] == "fail"
    assert "xylophone played" not in lines.getvalue()


def test_a_developer_reads_words(lines: Lines) -> None:
    """In development a line is for eyes, with the whole message of an exception, and without colours in a file."""
    stream = StringIO()
    configure_logs(production=False, stream=stream)
    try:
        fail("a clear sentence")
    except ValueError:
        structlog.get_logger().exception("call.finished", key="ck_Zm9vYmFyYmF6cXV4Zm9v")
    text = stream.getvalue()
    assert "call.finished" in text
    assert "key=[SECRET]" in text
    assert "ValueError: a clear sentence" in text
    assert "\x1b" not in text
    assert lines.getvalue() == ""


def test_a_traceback_in_a_test_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody has configured logs, structlog would print the variables of each function: prompts and answers."""
    question = "my secret question"
    try:
        fail(f"{len(question)} letters")
    except ValueError:
        structlog.get_logger().exception("call.finished")

    screen = capsys.readouterr().out
    assert "ValueError: 18 letters" in screen
    assert question not in screen
