"""However a call ends, it is recorded once: a log line, a span and metrics with the same facts."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from chassis.call import Attempt, Call, Deadline
from chassis.call_log import CallLog
from chassis.contract import Answered, Draft, FallbackReason, Referred, Task
from chassis.errors import CallError, InputNotAllowed, ModelsFailed
from chassis.telemetry import names
from chassis.telemetry.local_traces import TRACES_FILE, StoredSpan
from chassis.telemetry.setup import Telemetry
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.usd import nano_usd
from pydantic_ai.models import Model
from sample_task import TASK, Answer, Question
from telemetry_sinks import Lines, started, stored

ANSWERED = Answered("forty-two", "gpt", 0.83, degraded=False, fallback_reason=None)
P95 = 0.5
REFERRED = Referred("r_1", FallbackReason.LOW_CONFIDENCE, datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def telemetry(tmp_path: Path) -> Generator[Telemetry]:
    """Record into the folder of the test."""
    running = started(tmp_path)
    yield running
    running.shutdown()


def a_call() -> Call:
    """Return a call whose first model timed out."""
    call = Call("c_1", "ann", Deadline.after(5), max_model_requests=3)
    call.new_turn().attempts += [
        Attempt("first", "TimedOut", 0, 0, nano_usd(0.0002), 0.1),
        Attempt("gpt", None, 312, 45, nano_usd(0.000125), 0.2),
    ]
    return call


def the_span(folder: Path, telemetry: Telemetry) -> StoredSpan:
    """Return the only span of the call."""
    telemetry.shutdown()
    (span,) = stored(folder, "c_1")
    return span


def test_an_answer_is_one_line_with_all_facts(telemetry: Telemetry, lines: Lines) -> None:
    """It says who asked, who answered, with what confidence, and at what cost."""
    with CallLog(P95, telemetry.instruments).scope("help", a_call()) as scope:
        scope.outcome = ANSWERED
    (line,) = lines.parsed()
    measured = {"timestamp", "trace_id", "span_id", "seconds"}
    assert measured <= line.keys()
    assert {name: value for name, value in line.items() if name not in measured} == {
        "level": "info",
        "event": "call.finished",
        "call_id": "c_1",
        "task": "help",
        "caller": "ann",
        "outcome": "answered",
        "answered_by": "gpt",
        "degraded": False,
        "fallback_reason": None,
        "confidence": 0.83,
        "error": None,
        "attempts": 2,
        "cached": 0,
        "input_tokens": 312,
        "output_tokens": 45,
        "cost_usd": 0.000325,
    }


@pytest.mark.parametrize(
    ("error", "logged", "span_failed"),
    [
        (InputNotAllowed("A card number may not be sent"), ("refused", "input-not-allowed", "info"), False),
        (ModelsFailed("No model gave a usable reply"), ("refused", "models-failed", "info"), True),
        (ZeroDivisionError("in the team's code"), ("failed", "ZeroDivisionError", "error"), True),
        (asyncio.CancelledError(), ("abandoned", None, "info"), False),
    ],
)
def test_an_exception_is_one_line_and_propagates(
    tmp_path: Path, lines: Lines, error: BaseException, logged: tuple[str, str | None, str], *, span_failed: bool
) -> None:
    """Whatever ends a call propagates, and leaves exactly one line and one span."""
    telemetry = started(tmp_path)
    with pytest.raises(type(error)) as raised, CallLog(P95, telemetry.instruments).scope("help", a_call()):
        raise error
    (line,) = lines.named("call.finished")
    span = the_span(tmp_path, telemetry)
    assert raised.value is error
    assert (line["outcome"], line["error"], line["level"]) == logged
    assert (span.name, span.failed, span.attributes.get(names.ERROR_TYPE)) == ("call help", span_failed, logged[1])


def test_a_referral_is_logged_and_counted(telemetry: Telemetry, lines: Lines) -> None:
    """The line and the metric say why a person has to answer."""
    with CallLog(P95, telemetry.instruments).scope("help", a_call()) as scope:
        scope.outcome = REFERRED
    (line,) = lines.parsed()
    assert (line["outcome"], line["fallback_reason"], line["answered_by"]) == ("referred", "low_confidence", None)
    page = telemetry.metrics_page()[0].decode()
    assert 'chassis_referrals_total{chassis_fallback_reason="low_confidence",chassis_task="help"} 1.0' in page


def test_a_missing_outcome_is_an_error(telemetry: Telemetry, lines: Lines) -> None:
    """A call that ends without an outcome is logged as failed."""
    with (
        pytest.raises(RuntimeError, match="without an outcome"),
        CallLog(P95, telemetry.instruments).scope("help", a_call()),
    ):
        pass
    (line,) = lines.named("call.finished")
    assert (line["outcome"], line["error"]) == ("failed", "RuntimeError")


def test_the_span_has_the_facts_of_the_line(telemetry: Telemetry, lines: Lines, tmp_path: Path) -> None:
    """The line has the ids of the span."""
    with CallLog(P95, telemetry.instruments).scope("help", a_call()) as scope:
        scope.outcome = ANSWERED
    (line,), span = lines.parsed(), the_span(tmp_path, telemetry)
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert span.attributes == {
        names.CALL_ID: "c_1",
        names.TASK: "help",
        names.CALLER: "ann",
        names.OUTCOME: "answered",
        names.ANSWERED_BY: "gpt",
        names.DEGRADED: False,
        names.CONFIDENCE: 0.83,
        names.ATTEMPTS: 2,
        names.CACHED: 0,
        names.INPUT_TOKENS: 312,
        names.OUTPUT_TOKENS: 45,
        names.COST_USD: 0.000325,
    }


def test_the_metrics_have_the_facts_of_the_line(telemetry: Telemetry) -> None:
    """Calls, attempts and cost can be monitored without logs."""
    with CallLog(P95, telemetry.instruments).scope("help", a_call()) as scope:
        scope.outcome = ANSWERED
    page = telemetry.metrics_page()[0].decode()
    for sample in (
        'chassis_calls_total{chassis_answered_by="gpt",chassis_degraded="false",chassis_outcome="answered",',
        'chassis_call_duration_seconds_count{chassis_outcome="answered",chassis_task="help"} 1.0',
        'chassis_model_attempts_total{chassis_model="first",chassis_task="help",error_type="TimedOut"} 1.0',
        'chassis_cost_usd_total{chassis_model="gpt",chassis_task="help"} 0.000125',
    ):
        assert sample in page


def test_log_lines_within_a_call_carry_its_id(telemetry: Telemetry, lines: Lines) -> None:
    """Also those of a library, but none after the call."""
    log = structlog.get_logger()
    with CallLog(P95, telemetry.instruments).scope("help", a_call()) as scope:
        log.info("model.failed")
        logging.getLogger("some.library").warning("slow")
        scope.outcome = ANSWERED
    log.info("service.stopped")
    assert [line.get("call_id") for line in lines.parsed()] == ["c_1", "c_1", "c_1", None]


def test_concurrent_calls_keep_their_own_ids(telemetry: Telemetry, lines: Lines) -> None:
    """Their log lines are not mixed up."""

    async def record_call(call_id: str) -> None:
        with CallLog(P95, telemetry.instruments).scope("help", Call(call_id, "ann", Deadline.after(5), 3)) as scope:
            await asyncio.sleep(0.01)
            scope.outcome = ANSWERED

    async def record_concurrently() -> None:
        await asyncio.gather(*(record_call(f"c_{number}") for number in range(20)))

    asyncio.run(record_concurrently())
    assert {f"c_{number}" for number in range(20)} == {line["call_id"] for line in lines.parsed()}
    assert len({line["trace_id"] for line in lines.parsed()}) == len(lines.parsed())


def test_no_text_of_a_question_is_recorded(lines: Lines, tmp_path: Path) -> None:
    """However a call ends, neither logs nor spans nor metrics contain what was asked or answered."""

    async def fail(question: Question, _: Model) -> Draft[Answer]:
        raise RuntimeError(question.text)

    async def ask(text: str, *replies: str, task: Task[Question, Answer] = TASK) -> str:
        async with wire_for_tests(
            task, tmp_path, ScriptedModel(*replies), ScriptedModel(ConnectionError(text))
        ) as wiring:
            call = wiring.service.new_call("ann")
            with suppress(CallError, RuntimeError):
                await wiring.service.answer(Question(text=text), call)
            return wiring.telemetry.metrics_page()[0].decode()

    pages = [
        asyncio.run(ask("is xylophone music", "xylophone it is")),
        asyncio.run(ask("why xylophone", "?xylophone")),
        asyncio.run(ask("xylophone 4111 1111 1111 1111", "never")),
        asyncio.run(ask("xylophone again", task=replace(TASK, run=fail))),
    ]
    traces = b"".join(file.read_bytes() for file in (tmp_path / "var").glob(f"{TRACES_FILE}*"))
    outcomes = [line["outcome"] for line in lines.named("call.finished")]
    assert outcomes == ["answered", "referred", "refused", "failed"]
    assert "xylophone" not in lines.getvalue() + "".join(pages)
    assert b"xylophone" not in traces
    assert b"call echo" in traces


@pytest.mark.parametrize(("p95_seconds", "slow"), [(60, 0), (0, 1)])
def test_a_slow_call_is_counted(telemetry: Telemetry, p95_seconds: float, slow: int) -> None:
    """The counter exists from the first call on, so that the share of slow calls can be computed."""
    with CallLog(p95_seconds, telemetry.instruments).scope("help", a_call()) as scope:
        scope.outcome = ANSWERED

    assert f'chassis_calls_slow_total{{chassis_task="help"}} {slow}.0' in telemetry.metrics_page()[0].decode()
