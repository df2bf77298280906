"""Log lines: one format for the chassis and for libraries, without secrets and without questions."""

import asyncio
import errno
import json
import logging
import os
from collections.abc import Iterator
from io import FileIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog
from chassis.telemetry.logs import MAX_LINE_LENGTH, LogStream, configure_logs
from telemetry_sinks import Lines, started, stored


def test_libraries_log_in_the_same_format(lines: Lines) -> None:
    """One parser reads every line. Lines of libraries below INFO are dropped, so that no SDK logs a request."""
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


def test_lines_have_the_ids_of_their_span(tmp_path: Path, lines: Lines) -> None:
    """Every line leads to its trace, also the line of a library."""
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
def test_known_keys_are_hidden(lines: Lines, kind: str, secret: str) -> None:
    """A key is hidden in a value, nested in a value, and in the message of a library."""
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
        ("Key:\nAKIAIOSFODNN7EXAMPLE\n", "Key:\n[SECRET]\n"),
        ("token\tghp_abcdefghijklmnopqrstuvwxyz0123456789", "token\t[SECRET]"),
        ("ghp_abcdefghijklm\u200bnopqrstuvwxyz0123456789", "[SECRET]"),
        ("\x1b[31mghp_abcdefghijklmnopqrstuvwxyz0123456789\x1b[0m", "\x1b[31m[SECRET]\x1b[0m"),
        ("token%3Dghp_abcdefghijklmnopqrstuvwxyz0123456789%26", "token%3D[SECRET]%26"),
        ('{"password": "Tr0ub4dor&3"}', '{"password": "[SECRET]"}'),
        ('{"password": 12345678}', '{"password": [SECRET]}'),
        ("the password is 4711-0815.", "the password is [SECRET]."),
        ("<secret>12345678</secret>", "<secret>[SECRET]</secret>"),
        ("mysql -u app -p12345678 shop", "mysql -u app -p[SECRET] shop"),
        ("login ada password 12345678", "login ada password [SECRET]"),
        ("token: 12345678, api_key=12345678", "token: 12345678, api_key=12345678"),
        ("app --password 'blue horse 42' --verbose", "app --password '[SECRET]' --verbose"),
        (
            "cached_tokens=1024 max_tokens=4k api_key_id=k_12ab34",
            "cached_tokens=1024 max_tokens=4k api_key_id=k_12ab34",
        ),
    ],
)
def test_credentials_in_headers_and_urls_are_hidden(lines: Lines, text: str, shown: str) -> None:
    """The text around a credential stays readable."""
    structlog.get_logger().info("service.started", text=text)
    assert shown == lines.parsed()[0]["text"]


def test_a_credential_is_hidden_by_its_key(lines: Lines) -> None:
    """A field that is named after a credential, or a nested one, is hidden; the line stays JSON."""
    nested = {"db": {"password": "Tr0ub4dor&3"}, "headers": ["Authorization: Basic YWRhOnB3MTIzNDU2"]}
    structlog.get_logger().info("client.started", auth_token="a1b2c3d4", settings=nested, tokens=12)  # noqa: S106
    [line] = lines.parsed()
    assert (line["auth_token"], line["tokens"]) == ("[SECRET]", 12)
    assert line["settings"] == {"db": {"password": "[SECRET]"}, "headers": ["Authorization: Basic [SECRET]"]}


@pytest.mark.parametrize("value", [12345678, -12345678, 1234567.25, 10**18])
def test_a_number_is_hidden_by_its_key(lines: Lines, value: float) -> None:
    """A password may be a number; the line stays JSON."""
    structlog.get_logger().info("client.started", db_password=value, nested={"passcode": value}, last=[{"pwd": value}])
    [line] = lines.parsed()
    assert (line["db_password"], line["nested"], line["last"]) == (
        "[SECRET]",
        {"passcode": "[SECRET]"},
        [{"pwd": "[SECRET]"}],
    )


def fail(words: str) -> None:
    """Raise an exception with this message, which is also a local variable."""
    raise ValueError(words)


def test_an_exception_is_logged_without_its_message(lines: Lines) -> None:
    """The line has the type and the frames, but no message and no local variables, which may contain a question."""
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


def test_development_logs_are_for_people(lines: Lines) -> None:
    """In development a line has the whole message of an exception, and no colors in a file."""
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


def test_tracebacks_in_tests_show_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a configuration, structlog prints the local variables of each function: prompts and answers."""
    question = "my secret question"
    try:
        fail(f"{len(question)} letters")
    except ValueError:
        structlog.get_logger().exception("call.finished")

    screen = capsys.readouterr().out
    assert "ValueError: 18 letters" in screen
    assert question not in screen


class Unshowable:
    """A value whose text fails."""

    def __repr__(self) -> str:
        """Fail, as an object does that is not fully set up."""
        raise AttributeError("no name yet")


def itself() -> dict[str, object]:
    """Return a dict that contains itself."""
    value: dict[str, object] = {}
    value["itself"] = value
    return value


class Unprintable(Unshowable):
    """A value whose text ends with what would end a process or a request."""

    def __init__(self, error: BaseException) -> None:
        """Keep what its text will raise."""
        self._error = error

    def __repr__(self) -> str:
        """Raise it."""
        raise self._error


class Endless(dict[str, int]):
    """A dict that cannot be read."""

    def items(self) -> Any:
        """Fail, as a view of something that was closed does."""
        raise ValueError


class Unreadable(list[int]):
    """A list that cannot be read."""

    def __iter__(self) -> Iterator[int]:
        """Fail."""
        raise ValueError


class NoText(str):
    """A text that is none."""

    __slots__ = ()

    def __str__(self) -> str:
        """Fail."""
        raise ValueError


UNUSUAL = {
    "ends the process": Unprintable(SystemExit(3)),
    "ends the request": Unprintable(asyncio.CancelledError()),
    "ends a generator": [Unprintable(GeneratorExit())],
    "a dict that cannot be read": Endless(a=1),
    "a list that cannot be read": {"deep": Unreadable([1])},
    "a text that is none": NoText("a"),
    "tuple as key": {("a", 1): 2},
    "bytes as key": {b"a": 2},
    "contains itself": itself(),
    "no repr": Unshowable(),
    "no repr, nested": [{"deep": Unshowable()}],
    "not a number": float("nan"),
    "endless number": 10**5000,
    "deep": json.loads("[" * 900 + "]" * 900),
    "half a surrogate pair": "\ud83d",
    "long": ["xylophone"] * 100_000,
}


@pytest.mark.parametrize("production", [True, False])
@pytest.mark.parametrize("value", UNUSUAL.values(), ids=UNUSUAL)
def test_whatever_a_task_logs_is_one_line(lines: Lines, value: object, *, production: bool) -> None:
    """What cannot be shown costs the value, not the call; the other values of the line stay."""
    configure_logs(production=production, stream=lines)
    structlog.get_logger().info("counted", value=value, key="ck_Zm9vYmFyYmF6cXV4Zm9v", order=7)
    [line] = lines.getvalue().splitlines()
    assert "counted" in line
    assert "[SECRET]" in line
    assert len(line) <= MAX_LINE_LENGTH
    if production:
        assert lines.parsed()[0]["order"] == 7


@pytest.mark.parametrize("production", [True, False])
@pytest.mark.parametrize("value", UNUSUAL.values(), ids=UNUSUAL)
def test_whatever_a_library_logs_is_one_line(lines: Lines, value: object, *, production: bool) -> None:
    """As its text, and as an argument of it."""
    configure_logs(production=production, stream=lines)
    lost = LogStream.lost
    logging.getLogger("some.sdk").warning(value)
    logging.getLogger("some.sdk").warning("got %s from %s", value, "ck_Zm9vYmFyYmF6cXV4Zm9v")
    assert (len(lines.getvalue().splitlines()), LogStream.lost) == (2, lost)
    assert "Zm9vYmFyYmF6" not in lines.getvalue()


def test_arguments_that_do_not_fit_are_one_line(lines: Lines) -> None:
    """Wrong arguments of a log call, ours or a library's, raise nothing and hide their credentials."""
    log, key = structlog.get_logger(), "ck_Zm9vYmFyYmF6cXV4Zm9v"
    logging.getLogger("some.sdk").warning("retrying with %s after %d s", *[key])
    logging.getLogger("some.sdk").error("%d", key)
    log.info("counted %d", key)
    log.warning("counted", *["no place for this"])
    log.info("requested", method_name="POST")
    log.error("planned", event="birthday")
    log.info()
    asyncio.run(log.ainfo("counted %d", key))
    assert len(lines.parsed()) == 8
    assert key not in lines.getvalue()
    assert {line["level"] for line in lines.parsed()} == {"info", "warning", "error"}
    assert lines.parsed()[4]["values"] == {"method_name": "POST"}


class Full(StringIO):
    """A stream on a full disk."""

    def flush(self) -> None:
        """Fail as the system does."""
        raise OSError(errno.ENOSPC, "No space left on device")


def closed() -> StringIO:
    """Return a stream that is closed."""
    stream = StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [Full(), closed(), TextIOWrapper(FileIO("/dev/full", "w"), "ascii")])
def test_a_line_that_cannot_be_written_is_counted(lines: Lines, tmp_path: Path, stream: TextIO) -> None:
    """It raises nothing, and the metric shows it."""
    configure_logs(production=True, stream=stream)
    telemetry, lost = started(tmp_path), LogStream.lost
    structlog.get_logger().info("counted")
    logging.getLogger("some.library").warning("counted")
    assert LogStream.lost == lost + 2
    page = telemetry.metrics_page()[0].decode()
    assert f"chassis_log_lost_lines_total {lost + 2}.0" in page
    telemetry.shutdown()
    assert lines.getvalue() == ""


@pytest.mark.parametrize("length", [100, 20_000])
def test_a_reader_that_stops_reading_stops_nobody(lines: Lines, length: int) -> None:
    """Lines for which a full pipe has no room are lost; those after it are whole again."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as pipe, os.fdopen(writer, "w", encoding="utf-8") as stream:
        configure_logs(production=True, stream=stream)
        lost, log = LogStream.lost, structlog.get_logger()
        for number in range(1_000):
            log.info("counted", number=number, text="x" * length)
        missing = LogStream.lost - lost
        assert 0 < missing < 1_000

        before = pipe.read(1_000_000)
        log.info("after", text="y" * length)
        after = pipe.read(1_000_000)
    *whole, rest = before.decode().split("\n")
    assert [json.loads(line)["number"] for line in whole] == list(range(1_000 - missing))
    assert after.decode().startswith("\n" if rest else "{")
    assert json.loads(after)["event"] == "after"
    assert lines.getvalue() == ""
