"""Spans and metrics: they arrive completely, in the right place, and under conventional names."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from chassis.config.constraints import ModelConfig
from chassis.config.project import find_project
from chassis.errors import ConfigError
from chassis.telemetry import names
from chassis.telemetry.genai_spans import ChatSpan
from chassis.telemetry.instruments import current_trace_id, outgoing_headers
from chassis.telemetry.local_traces import TRACES_FILE
from chassis.telemetry.setup import Telemetry
from chassis.wiring import wire
from fastapi import FastAPI
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.usage import RequestUsage
from telemetry_sinks import Lines, collecting, started, stored

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
GPT = ModelConfig(name="gpt", provider="google", model="gpt-5.5", destination="vendor", max_output_tokens=800)


def test_spans_are_stored_at_shutdown(tmp_path: Path) -> None:
    """Without a collector no span is lost, and a trace is found by its id and by the id of its call."""
    telemetry = started(tmp_path)
    with telemetry.instruments.span("outer", {}), telemetry.instruments.span("inner", {names.CALL_ID: "c_1"}):
        trace_id = current_trace_id()
    telemetry.shutdown()
    assert [span.name for span in stored(tmp_path)] == ["outer", "inner"]
    assert stored(tmp_path) == stored(tmp_path, "c_1") == stored(tmp_path, trace_id)
    assert stored(tmp_path, "c_2") == []


def test_telemetry_can_start_again_and_overlap(tmp_path: Path) -> None:
    """Each start records into its own place, also side by side; after a shutdown nothing more is recorded there."""
    first, second = started(tmp_path / "first"), started(tmp_path / "second")
    with second.instruments.span("to second"):
        pass
    second.shutdown()
    with first.instruments.span("to first"):
        pass
    first.shutdown()
    second.shutdown()
    with first.instruments.span("too late"), second.instruments.span("too late"):
        pass
    assert [span.name for span in stored(tmp_path / "first")] == ["to first"]
    assert [span.name for span in stored(tmp_path / "second")] == ["to second"]


def test_everything_is_sent_to_the_collector_at_shutdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an endpoint, spans and metrics are sent there with the name of the service, and none are stored."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        telemetry = started(tmp_path)
        with ChatSpan(telemetry.instruments, GPT, max_tokens=100):
            pass
        telemetry.shutdown()
    (span,) = collector.spans()
    assert (span.name, span.kind) == ("chat gpt-5.5", Span.SPAN_KIND_CLIENT)
    resource = {item.key: item.value.string_value for item in collector.traces[0].resource_spans[0].resource.attributes}
    assert resource.items() >= {
        ("service.name", "acme-help"),
        ("service.version", "1.2.3"),
        ("deployment.environment.name", "test"),
        ("chassis.owner", "@acme/ai"),
    }
    assert collector.metric_names() == {"gen_ai.client.operation.duration", "chassis.log.lost_lines"}
    assert [exemplar.trace_id for exemplar in collector.exemplars()] == [span.trace_id]
    assert not (tmp_path / TRACES_FILE).exists()


def test_the_owner_comes_from_ownership_toml(project: Path) -> None:
    """Traces have the handle of the accountable team, and referrals its email address."""

    async def story() -> tuple[object, str | None]:
        async with wire(find_project(project)) as wiring:
            return wiring.telemetry.tracers.resource.attributes["chassis.owner"], wiring.owner.email

    assert asyncio.run(story()) == ("@us", "us@example.com")


def test_signals_may_have_different_endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If only metrics have an endpoint, traces are stored locally."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{collector.url}/v1/metrics")
        telemetry = started(tmp_path)
        with ChatSpan(telemetry.instruments, GPT, max_tokens=100):
            pass
        telemetry.shutdown()
    assert (collector.traces, [span.name for span in stored(tmp_path)]) == ([], ["chat gpt-5.5"])
    assert collector.metric_names()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
)
def test_an_invalid_endpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """A variable with which every span would be lost is an error at the start."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=f"{variable}: the value is '{value}'. Write"):
        started(tmp_path)


def test_the_service_starts_if_traces_cannot_be_stored(tmp_path: Path, lines: Lines) -> None:
    """Lost traces are logged as a warning."""
    (tmp_path / "var").write_text("not a folder")
    telemetry = started(tmp_path / "var")
    with telemetry.instruments.span("lost"):
        pass
    telemetry.shutdown()
    assert len(lines.named("spans.not_stored")) == 1


def web_app(telemetry: Telemetry) -> FastAPI:
    """Return an application that answers with its outgoing headers."""
    app = FastAPI(telemetry=telemetry.for_fastapi())

    @app.get("/v1/trace")
    async def show() -> dict[str, str]:
        return outgoing_headers()

    @app.get("/healthz")
    async def health() -> None:
        return None

    return app


def ask_web(telemetry: Telemetry, path: str, **headers: str) -> httpx2.Response:
    """Send a request to the application, within this process."""

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=web_app(telemetry))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def test_an_incoming_trace_is_continued(tmp_path: Path) -> None:
    """A caller's `traceparent` becomes the parent of the server span, and outgoing headers continue the trace."""
    telemetry = started(tmp_path)
    reply = ask_web(telemetry, "/v1/trace", traceparent=f"00-{TRACE_ID}-{PARENT_ID}-01")
    page = telemetry.metrics_page()[0].decode()
    telemetry.shutdown()
    (span,) = stored(tmp_path, TRACE_ID)
    assert (
        span.name,
        span.parent_id,
        span.attributes["http.response.status_code"],
    ) == ("GET /v1/trace", PARENT_ID, 200)
    assert {"traceparent": f"00-{TRACE_ID}-{span.span_id}-01"} == reply.json()
    assert "http_server_request_duration_seconds_count" in page


def test_a_caller_cannot_switch_tracing_off(tmp_path: Path) -> None:
    """The flag 00 of a `traceparent` says that the caller does not record the trace; the service does all the same."""
    telemetry = started(tmp_path)
    ask_web(telemetry, "/v1/trace", traceparent=f"00-{TRACE_ID}-{PARENT_ID}-00")
    telemetry.shutdown()
    assert [span.parent_id for span in stored(tmp_path, TRACE_ID)] == [PARENT_ID]


@pytest.mark.parametrize("propagators", ["tracecontext,baggage", "baggage"])
def test_only_the_traceparent_of_a_caller_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, propagators: str
) -> None:
    """The other headers of a caller's tracing, and all others, stay here: they may contain an address or an account."""
    monkeypatch.setenv("OTEL_PROPAGATORS", propagators)
    telemetry = started(tmp_path)
    others = {
        "tracestate": "vendor=jane@example.com",
        "baggage": "user=jane%40example.com,card=4111111111111111",
        "b3": f"{TRACE_ID}-{PARENT_ID}-1",
        "uber-trace-id": f"{TRACE_ID}:{PARENT_ID}:0:1",
        "cookie": "session=jane",
        "x-request-id": "jane",
    }
    reply = ask_web(telemetry, "/v1/trace", traceparent=f"00-{TRACE_ID}-{PARENT_ID}-01", **others)
    telemetry.shutdown()
    assert list(reply.json()) == ["traceparent"]
    assert reply.json()["traceparent"].split("-")[1] == TRACE_ID


def test_probes_are_not_traced(tmp_path: Path) -> None:
    """Frequent probes do not push the traces of calls out of the file."""
    telemetry = started(tmp_path)
    ask_web(telemetry, "/healthz")
    telemetry.shutdown()
    assert stored(tmp_path) == []


@pytest.mark.parametrize(("sampler", "flag"), [("always_off", "01"), ("parentbased_always_on", "00")])
def test_sampling_follows_the_standard_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, flag: str
) -> None:
    """A trace that the sampler or the caller excludes is not stored."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    telemetry = started(tmp_path)
    ask_web(telemetry, "/v1/trace", traceparent=f"00-{TRACE_ID}-{PARENT_ID}-{flag}")
    telemetry.shutdown()
    assert stored(tmp_path) == []


def test_a_model_request_follows_the_genai_conventions(tmp_path: Path) -> None:
    """Model, tokens and finish reason have the names of the conventions. The cost has a name of our own."""
    telemetry = started(tmp_path)
    usage = RequestUsage(input_tokens=312, output_tokens=45)
    with ChatSpan(telemetry.instruments, GPT, max_tokens=100) as span:
        span.set_response(ModelResponse([TextPart("hello")], usage=usage, finish_reason="stop"), "gpt-5.5-1")
        span.set_cost(125_000)
    page = telemetry.metrics_page()[0].decode()
    telemetry.shutdown()
    (kept,) = stored(tmp_path)
    assert kept.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gpt-5.5",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.response.model": "gpt-5.5-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 312,
        "gen_ai.usage.output_tokens": 45,
        "chassis.model": "gpt",
        "chassis.cost.usd": 0.000125,
    }
    assert 'gen_ai_token_type="output"} 45.0' in page
    assert "gen_ai_client_operation_duration_seconds_count" in page


def test_a_failed_model_request_records_only_the_type_of_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of the error, which may quote a question, is not recorded."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        telemetry = started(tmp_path)
        with (
            pytest.raises(ValueError, match="xylophone"),
            telemetry.instruments.span("outer"),
            ChatSpan(telemetry.instruments, GPT, max_tokens=100),
        ):
            raise ValueError("cannot digest xylophone")
        telemetry.shutdown()
    span, outer = collector.spans()
    assert list(outer.events) == []
    assert (span.status.code, list(span.events)) == (Status.STATUS_CODE_ERROR, [])
    assert {item.key: item.value.string_value for item in span.attributes}["error.type"] == "ValueError"
    assert "xylophone" not in str([*collector.traces, *collector.metrics])
